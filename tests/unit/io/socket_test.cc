#include <netinet/tcp.h>

#include "tests/unit/support.h"

namespace holdfast {
namespace {

int option(int descriptor, int level, int name) {
  int value = 0;
  socklen_t size = sizeof value;
  REQUIRE(getsockopt(descriptor, level, name, &value, &size) == 0);
  return value;
}

TEST_CASE(
    "Accepted sockets inherit reset-on-close, no delay, keepalive and, on loopback, a small send "
    "buffer") {
  auto [agent, application] = application_pair();
  linger value{};
  socklen_t size = sizeof value;
  REQUIRE(getsockopt(agent.get(), SOL_SOCKET, SO_LINGER, &value, &size) == 0);
  CHECK(value.l_onoff == 1);
  CHECK(value.l_linger == 0);
  CHECK(option(agent.get(), IPPROTO_TCP, TCP_NODELAY) == 1);
  CHECK(option(agent.get(), SOL_SOCKET, SO_KEEPALIVE) == 1);
  CHECK(option(agent.get(), SOL_SOCKET, SO_SNDBUF) == 2 * kLocalSendBuffer);
}

TEST_CASE("Beyond loopback what is unsent is bounded, and not what is under way") {
  auto tuned = [](const char* host, int name) {
    Descriptor socket = make_socket(AF_INET);
    tune_application_socket(socket.get(), *SocketAddress::literal({host, 1}));
    return option(socket.get(), name == SO_SNDBUF ? SOL_SOCKET : IPPROTO_TCP, name);
  };
  int untouched = option(make_socket(AF_INET).get(), SOL_SOCKET, SO_SNDBUF);
  for (const char* host : {"0.0.0.0", "192.0.2.1", "128.0.0.1"}) {
    INFO(host);
    CHECK(tuned(host, TCP_NOTSENT_LOWAT) == kApplicationNotSent);
    CHECK(tuned(host, SO_SNDBUF) == untouched);
  }
  CHECK(tuned("127.0.0.1", SO_SNDBUF) == 2 * kLocalSendBuffer);
  CHECK(SocketAddress::literal({"127.8.0.1", 1})->is_loopback());
  CHECK(SocketAddress::literal({"::1", 1})->is_loopback());
  CHECK_FALSE(SocketAddress::literal({"::", 1})->is_loopback());
  CHECK_FALSE(SocketAddress::unix_path("/tmp/x")->is_loopback());
}

TEST_CASE("A socket that is merely closed is read as a reset, a clean one as an end") {
  char byte = 0;
  {
    auto [agent, application] = application_pair();
    agent.reset();  // as the kernel does it after kill -9
    CHECK(recv(application.get(), &byte, 1, 0) == -1);
    CHECK(errno == ECONNRESET);
  }
  auto [agent, application] = application_pair();
  clear_linger(agent.get());
  agent.reset();
  CHECK(recv(application.get(), &byte, 1, 0) == 0);
}

TEST_CASE("Literals are addresses at once and names are not") {
  CHECK(SocketAddress::literal({"192.0.2.1", 80})->to_string() == "192.0.2.1:80");
  CHECK(SocketAddress::literal({"2001:db8::1", 80})->to_string() == "[2001:db8::1]:80");
  CHECK_FALSE(SocketAddress::literal({"localhost", 80}));
  CHECK(SocketAddress::unix_path("/tmp/x")->to_string() == "unix:/tmp/x");
  CHECK_FALSE(SocketAddress::unix_path(std::string(108, 'x')));
}

TEST_CASE("Descriptors are scarce from a little below the limit") {
  DescriptorBudget budget(64);
  CHECK_FALSE(budget.scarce(55));
  CHECK(budget.scarce(56));
  CHECK(DescriptorBudget(20000).scarce(19936));
}

TEST_CASE("The error pending on a socket is taken once") {
  auto [agent, application] = application_pair();
  close_with_reset(application);
  CHECK(take_socket_error(agent.get()) == ECONNRESET);
  CHECK(take_socket_error(agent.get()) == 0);
}

}  // namespace
}  // namespace holdfast
