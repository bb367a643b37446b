// Which addresses are listened on after a reload, and who is lost by it: nobody.
#include "common/net/listener_set.h"

#include "tests/unit/net/support.h"

namespace holdfast {
namespace {

struct Guests final : public Listener::Handler {
  std::vector<std::size_t> tags;  // of the listeners that somebody came to
  std::vector<Descriptor> taken;
  void accepted(Listener& listener, Descriptor& socket, const SocketAddress&) override {
    tags.push_back(listener.tag());
    taken.push_back(std::move(socket));
  }
};

std::uint16_t free_port() {
  BoundSocket probe = free_listener();
  sockaddr_in address{};
  socklen_t size = sizeof address;
  REQUIRE(getsockname(probe.descriptor(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return ntohs(address.sin_port);
}

bool answers(std::uint16_t port) {
  auto address = SocketAddress::literal({"127.0.0.1", port});
  Descriptor dialled(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect(dialled.get(), address->get(), address->size()) == 0;
}

struct Bench {
  Loop loop;
  QuietObserver observer;
  Guests guests;
  DescriptorBudget budget{1 << 20};
  ListenerSet set{loop, budget, guests, observer, nullptr};
  NetListenAddress at(std::uint16_t port, const char* host = "127.0.0.1") {
    return HostPort{host, port};
  }
};

TEST_CASE("A set listens where it is asked to, no longer where it is not") {
  Bench bench;
  std::uint16_t first = free_port(), second = free_port();
  REQUIRE(bench.set.set({{bench.at(first), 1}}).ok());
  CHECK(answers(first));
  REQUIRE(bench.set.set({{bench.at(second), 2}}).ok());
  CHECK_FALSE(answers(first));
  CHECK(answers(second));
}

TEST_CASE("An address that stays is not bound anew and gets its new tag") {
  Bench bench;
  std::uint16_t port = free_port();
  REQUIRE(bench.set.set({{bench.at(port), 1}}).ok());
  Descriptor waiting = dial(*SocketAddress::literal({"127.0.0.1", port}));
  REQUIRE(bench.set.set({{bench.at(port), 7}}).ok());
  turn_until(bench.loop, [&] { return !bench.guests.tags.empty(); });
  CHECK(bench.guests.tags.front() == 7);
}

TEST_CASE("Who waits at an address that is given up is handed over first") {
  Bench bench;
  std::uint16_t port = free_port();
  REQUIRE(bench.set.set({{bench.at(port), 3}}).ok());
  Descriptor waiting = dial(*SocketAddress::literal({"127.0.0.1", port}));
  REQUIRE(bench.set.set({}).ok());
  REQUIRE(bench.guests.tags == std::vector<std::size_t>{3});
}

TEST_CASE("An address that cannot be had changes nothing and is named") {
  Bench bench;
  std::uint16_t port = free_port();
  BoundSocket foreign = free_listener();
  sockaddr_in address{};
  socklen_t size = sizeof address;
  REQUIRE(getsockname(foreign.descriptor(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
  std::uint16_t taken = ntohs(address.sin_port);
  REQUIRE(bench.set.set({{bench.at(port), 1}}).ok());
  Status failed = bench.set.set({{bench.at(free_port()), 1}, {bench.at(taken), 2}});
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.error().message.find(std::to_string(taken)) != std::string::npos);
  CHECK(bench.set.names() == std::vector<std::string>{"127.0.0.1:" + std::to_string(port)});
  CHECK(answers(port));
}

TEST_CASE("An address takes the place of one that overlaps it") {
  Bench bench;
  std::uint16_t port = free_port();
  REQUIRE(bench.set.set({{bench.at(port, "0.0.0.0"), 1}}).ok());
  REQUIRE(bench.set.set({{bench.at(port), 2}}).ok());
  CHECK(bench.set.names() == std::vector<std::string>{"127.0.0.1:" + std::to_string(port)});
  Descriptor waiting = dial(*SocketAddress::literal({"127.0.0.1", port}));
  turn_until(bench.loop, [&] { return !bench.guests.tags.empty(); });
  CHECK(bench.guests.tags.front() == 2);
}

}  // namespace
}  // namespace holdfast
