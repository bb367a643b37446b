#include "common/io/connector.h"

#include <sys/resource.h>
#include <unistd.h>

#include <optional>

#include "common/io/resolver.h"
#include "tests/unit/support.h"

namespace holdfast {
namespace {

// An address at which nobody listens.
SocketAddress closed_address() {
  BoundSocket listener = free_listener();
  return bound_address(listener.descriptor());
}

Connector::Outcome connect_all(Loop& loop, std::vector<SocketAddress> addresses,
                               Duration patience = seconds(3)) {
  std::optional<Connector::Outcome> outcome;
  Connector connector(loop, tune_application_socket, nullptr,
                      [&](Connector::Outcome got) { outcome = std::move(got); });
  connector.start(std::move(addresses), loop.refresh() + patience);
  CHECK_FALSE(outcome);
  turn_until(loop, [&] { return outcome.has_value(); });
  return std::move(*outcome);
}

TEST_CASE("A connect takes the next address when one refuses") {
  Loop loop;
  BoundSocket listener = free_listener();
  SocketAddress good = bound_address(listener.descriptor());
  Connector::Outcome outcome = connect_all(loop, {closed_address(), good});
  CHECK(outcome.descriptor.valid());
  CHECK(outcome.address == good);
}

TEST_CASE("When all addresses refuse the last error is told") {
  Loop loop;
  Connector::Outcome outcome = connect_all(loop, {closed_address(), closed_address()});
  CHECK_FALSE(outcome.descriptor.valid());
  CHECK(outcome.error == ECONNREFUSED);
}

// A listener whose queue is full: the kernel drops further SYNs.
class DeafListener {
 public:
  DeafListener() : deaf_(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    SocketAddress any = *SocketAddress::literal({"127.0.0.1", 0});
    REQUIRE(bind(deaf_.get(), any.get(), any.size()) == 0);
    REQUIRE(listen(deaf_.get(), 0) == 0);
    for (int i = 0; i < 4; ++i) {
      fillers_.push_back(make_socket(AF_INET));
      (void)::connect(fillers_.back().get(), address().get(), address().size());
    }
  }
  SocketAddress address() const { return bound_address(deaf_.get()); }

 private:
  Descriptor deaf_;
  std::vector<Descriptor> fillers_;
};

TEST_CASE("A silent address costs a quarter of a second") {
  Loop loop;
  DeafListener silent;
  BoundSocket listener = free_listener();
  SocketAddress good = bound_address(listener.descriptor());
  Time start = loop.refresh();
  Connector::Outcome outcome = connect_all(loop, {silent.address(), good});
  CHECK(outcome.address == good);
  CHECK(outcome.descriptor.valid());
  CHECK(loop.refresh() - start >= milliseconds(250));
  CHECK(loop.refresh() - start < milliseconds(1500));
}

TEST_CASE("The deadline counts for all addresses together") {
  Loop loop;
  DeafListener silent;
  DeafListener other;
  Time start = loop.refresh();
  Connector::Outcome outcome =
      connect_all(loop, {silent.address(), other.address()}, milliseconds(400));
  CHECK(outcome.error == ETIMEDOUT);
  CHECK_FALSE(outcome.descriptor.valid());
  CHECK(loop.refresh() - start >= milliseconds(400));
  CHECK(loop.refresh() - start < milliseconds(1500));
}

TEST_CASE("An address that comes later is tried when those before it have failed") {
  Loop loop;
  BoundSocket listener = free_listener();
  SocketAddress good = bound_address(listener.descriptor());
  std::optional<Connector::Outcome> outcome;
  Connector connector(loop, tune_application_socket, nullptr,
                      [&](Connector::Outcome got) { outcome = std::move(got); });
  Time now = loop.refresh();
  connector.start({closed_address()}, now + seconds(5), now + seconds(5));
  Time later = now + milliseconds(100);
  Timer timer(loop.timers(), [] {});
  timer.arm(later);
  turn_until(loop, [&] { return loop.now() >= later; });
  CHECK_FALSE(outcome);
  connector.add({closed_address(), good});
  turn_until(loop, [&] { return outcome.has_value(); });
  CHECK(outcome->address == good);
  CHECK(outcome->descriptor.valid());
}

TEST_CASE("When none comes the failure stands") {
  Loop loop;
  std::optional<Connector::Outcome> outcome;
  Connector connector(loop, tune_application_socket, nullptr,
                      [&](Connector::Outcome got) { outcome = std::move(got); });
  Time now = loop.refresh();
  connector.start({closed_address()}, now + seconds(60), now + seconds(60));
  connector.add({});
  turn_until(loop, [&] { return outcome.has_value(); });
  CHECK(outcome->error == ECONNREFUSED);
}

// Bound to the port that it connects to, as the kernel's choice does by chance.
int bind_to_target(int descriptor, const SocketAddress& target) {
  return bind(descriptor, target.get(), target.size()) == 0 ? 0 : errno;
}

TEST_CASE("A connect that meets itself is refused and leaves the port free") {
  Loop loop;
  SocketAddress nobody = closed_address();
  std::optional<Connector::Outcome> outcome;
  Connector connector(loop, tune_application_socket, nullptr,
                      [&](Connector::Outcome got) { outcome = std::move(got); });
  connector.set_prepare([&](int descriptor, int) { return bind_to_target(descriptor, nobody); });
  connector.start({nobody}, loop.refresh() + seconds(3));
  turn_until(loop, [&] { return outcome.has_value(); });
  CHECK(outcome->error == ECONNREFUSED);
  CHECK_FALSE(outcome->descriptor.valid());
  CHECK(bind_sockets(HostPort{"127.0.0.1", nobody.endpoint().port}, nullptr).ok());
}

TEST_CASE("Families take turns") {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  sockaddr_in other_v4 = v4;
  other_v4.sin_addr.s_addr = htonl(0x7f000002);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  auto info = [](auto& address, addrinfo* next) {
    addrinfo result{};
    result.ai_family = reinterpret_cast<sockaddr&>(address).sa_family;
    result.ai_addr = reinterpret_cast<sockaddr*>(&address);
    result.ai_addrlen = sizeof address;
    result.ai_next = next;
    return result;
  };
  addrinfo third = info(v6, nullptr);
  addrinfo second = info(other_v4, &third);
  addrinfo first = info(v4, &second);
  auto addresses = interleave(&first, 7);
  REQUIRE(addresses.size() == 3);
  CHECK(addresses[0].family() == AF_INET);
  CHECK(addresses[1].family() == AF_INET6);
  CHECK(addresses[2].family() == AF_INET);
  CHECK(addresses[2].endpoint().port == 7);
}

}  // namespace
}  // namespace holdfast
