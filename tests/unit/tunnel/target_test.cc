// What is done on the way to a target: the header, the source, the name.
#include "common/tunnel/target.h"

#include "tests/unit/support.h"

namespace holdfast {
namespace {

const Endpoint kSource{EndpointFamily::ipv4, {192, 0, 2, 7}, 51000};

struct Setup {
  Loop loop;
  Resolver resolver{loop};
  DescriptorBudget budget{1024};
};

Target target_at(const SocketAddress& address) {
  return {HostPort{"127.0.0.1", address.endpoint().port}, seconds(3)};
}

TargetConnect::Outcome connect(Setup& setup, const Target& target, Approach approach) {
  std::optional<TargetConnect::Outcome> outcome;
  TargetConnect connect(setup.loop, setup.resolver, setup.budget, target, std::move(approach),
                        [&](TargetConnect::Outcome got) { outcome = std::move(got); });
  turn_until(setup.loop, [&] { return outcome.has_value(); });
  return std::move(*outcome);
}

std::string read_some(int descriptor) {
  char bytes[512];
  ssize_t size = recv(descriptor, bytes, sizeof bytes, 0);
  return {bytes, size > 0 ? static_cast<std::size_t>(size) : 0};
}

Descriptor accepted(const BoundSocket& listener) {
  Descriptor socket;
  while (!socket.valid()) socket.reset(accept4(listener.descriptor(), nullptr, nullptr, 0));
  return socket;
}

TEST_CASE("A target is told by a header before anything else") {
  Setup setup;
  BoundSocket listener = free_listener();
  SocketAddress there = bound_address(listener.descriptor());
  Approach approach;
  approach.send_proxy = ProxyVersion::v1;
  approach.source = kSource;
  auto outcome = connect(setup, target_at(there), approach);
  REQUIRE(outcome.socket.valid());
  Descriptor service = accepted(listener);
  CHECK(read_some(service.get()) ==
        "PROXY TCP4 192.0.2.7 127.0.0.1 51000 " + std::to_string(there.endpoint().port) + "\r\n");
}

TEST_CASE("A target on this host is connected without a turn of the loop") {
  Setup setup;
  auto listener = std::make_unique<BoundSocket>(free_listener());
  SocketAddress there = bound_address(listener->descriptor());
  Cause cause = Cause::other;
  bool valid = false;
  auto told = [&](TargetConnect::Outcome got) {
    cause = got.cause;
    valid = got.socket.valid();
  };
  TargetConnect connect(setup.loop, setup.resolver, setup.budget, target_at(there), {}, told);
  CHECK(cause == Cause::other);  // never from within the constructor
  connect.settle();
  CHECK(valid);
  connect.settle();  // told once
  listener.reset();
  TargetConnect refused(setup.loop, setup.resolver, setup.budget, target_at(there), {}, told);
  refused.settle();
  CHECK(cause == Cause::target_refused);
  CHECK_FALSE(valid);
}

TEST_CASE("Where the application meant to go is told in place of the target") {
  Setup setup;
  BoundSocket listener = free_listener();
  Approach approach;
  approach.send_proxy = ProxyVersion::v1;
  approach.source = kSource;
  approach.destination = {EndpointFamily::ipv4, {10, 0, 5, 7}, 5432};
  auto outcome = connect(setup, target_at(bound_address(listener.descriptor())), approach);
  Descriptor service = accepted(listener);
  CHECK(read_some(service.get()) == "PROXY TCP4 192.0.2.7 10.0.5.7 51000 5432\r\n");
}

TEST_CASE("A source of another family than the target's cannot be taken") {
  Setup setup;
  BoundSocket listener = free_listener();
  Approach approach;
  approach.from_source = true;
  approach.source = as_ipv6(kSource);
  approach.source.address[0] = 0x20;
  auto outcome = connect(setup, target_at(bound_address(listener.descriptor())), approach);
  CHECK_FALSE(outcome.socket.valid());
  CHECK(outcome.cause == Cause::source_failed);
}

TEST_CASE("A backend that refuses, and a Unix socket that is not there, are told as refused") {
  Setup setup;
  for (NetAddress address : {NetAddress(HostPort{"127.0.0.1", free_port()}),
                             NetAddress(UnixPath{"/nonexistent/socket"})}) {
    auto outcome = connect(setup, Target{address, seconds(2)}, Approach{});
    CHECK(outcome.cause == Cause::target_refused);
    CHECK_FALSE(outcome.socket.valid());
  }
}

// --- Names ------------------------------------------------------------------------------------

// Look-ups end when the test says so.
class ScriptedLookups final : public Lookups {
 public:
  explicit ScriptedLookups(std::uint64_t& last) : last_(last) {}
  void start(std::uint64_t number, const std::string&) override { last_ = number; }

 private:
  std::uint64_t& last_;
};

struct Named {
  Loop loop;
  std::uint64_t last = 0;  // look-up
  Resolver resolver{loop, std::make_unique<ScriptedLookups>(last)};
  DescriptorBudget budget{1024};
  std::optional<TargetConnect::Outcome> outcome;
  std::unique_ptr<TargetConnect> connect;
  Time began{};

  void start(std::uint16_t port, Duration patience = seconds(3)) {
    outcome.reset();
    began = loop.refresh();
    connect = std::make_unique<TargetConnect>(
        loop, resolver, budget, Target{HostPort{"db.example", port}, patience}, Approach{},
        [this](TargetConnect::Outcome got) { outcome = std::move(got); });
  }
  void answer(const char* host) {
    resolver.answered(last, std::vector<SocketAddress>{*SocketAddress::literal({host, 0})});
  }
  void fail() { resolver.answered(last, Error{"no answer"}); }
  // Gives how long it took since start().
  Duration finish() {
    turn_until(loop, [&] { return outcome.has_value(); });
    return loop.refresh() - began;
  }
};

TEST_CASE("A name that was never resolved is told as unresolved at once or at the deadline") {
  Named named;
  named.start(1);
  named.fail();
  named.finish();
  CHECK(named.outcome->cause == Cause::target_unresolved);
  named.start(1, milliseconds(200));
  CHECK(named.finish() >= milliseconds(200));
  CHECK(named.outcome->cause == Cause::target_unresolved);
}

TEST_CASE("The last good address of a name is used while its name server is silent") {
  Named named;
  BoundSocket listener = free_listener();
  std::uint16_t port = bound_address(listener.descriptor()).endpoint().port;
  named.start(port);
  named.answer("127.0.0.1");
  named.finish();
  REQUIRE(named.outcome->socket.valid());
  named.start(port);
  CHECK(named.finish() < seconds(1));
  CHECK(named.outcome->socket.valid());
  named.fail();
  named.start(port);
  CHECK(named.finish() < seconds(1));
  CHECK(named.outcome->socket.valid());
}

TEST_CASE("A service that has moved is found by the new answer when the old address refuses") {
  Named named;
  BoundSocket listener = free_listener();  // at 127.0.0.1
  std::uint16_t port = bound_address(listener.descriptor()).endpoint().port;
  named.start(port);
  named.answer("127.0.0.2");  // refuses
  named.finish();
  CHECK(named.outcome->cause == Cause::target_refused);
  named.start(port);
  Time later = named.loop.refresh() + milliseconds(200);
  Timer timer(named.loop.timers(), [&] { named.answer("127.0.0.1"); });
  timer.arm(later);
  CHECK(named.finish() >= milliseconds(200));
  CHECK(named.outcome->socket.valid());
}

TEST_CASE("A known address that refuses is told soon though the name server is silent") {
  Named named;
  SocketAddress there;
  {
    BoundSocket listener = free_listener();
    there = bound_address(listener.descriptor());
  }
  named.start(there.endpoint().port);
  named.answer("127.0.0.1");
  named.finish();
  named.start(there.endpoint().port, seconds(60));
  CHECK(named.finish() < seconds(4));
  CHECK(named.outcome->cause == Cause::target_refused);
}

TEST_CASE("A new answer that comes soon is waited for") {
  Named named;
  BoundSocket listener = free_listener();  // at 127.0.0.1
  std::uint16_t port = bound_address(listener.descriptor()).endpoint().port;
  auto other = bind_sockets(HostPort{"127.0.0.2", port}, nullptr);
  REQUIRE(other.ok());
  named.start(port);
  named.answer("127.0.0.2");
  named.finish();
  named.start(port);
  named.answer("127.0.0.1");
  named.finish();
  REQUIRE(named.outcome->socket.valid());
  CHECK(SocketAddress::peer_of(named.outcome->socket.get()) ==
        bound_address(listener.descriptor()));
}

}  // namespace
}  // namespace holdfast
