// Which addresses are listened on after a reload, and who is lost by it: nobody.
#include "common/net/listener_set.h"

#include "tests/unit/net/scripted_lookups.h"
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
  std::vector<std::pair<std::uint64_t, std::string>> looked_up;
  Resolver resolver{loop, std::make_unique<ScriptedLookups>(looked_up)};
  int changes = 0;
  ListenerSet set{loop, resolver, budget, guests, observer, nullptr, [this] { changes += 1; }};
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

TEST_CASE("A new address that is required and cannot be had changes nothing and is named") {
  Bench bench;
  std::uint16_t port = free_port();
  BoundSocket foreign = free_listener();
  std::uint16_t taken = port_of(foreign);
  REQUIRE(bench.set.set({{bench.at(port), 1}}).ok());
  Status failed = bench.set.set({{bench.at(free_port()), 1}, {bench.at(taken), 2, false, true}});
  REQUIRE_FALSE(failed.ok());
  CHECK(failed.error().message.find(std::to_string(taken)) != std::string::npos);
  CHECK(bench.set.names() == std::vector<std::string>{"127.0.0.1:" + std::to_string(port)});
  CHECK(answers(port));
  CHECK(bench.set.failures().empty());
}

TEST_CASE("An address that cannot be had holds up no other and is listened on once it is free") {
  Bench bench;
  auto foreign = std::make_unique<BoundSocket>(free_listener());
  std::uint16_t taken = port_of(*foreign), port = free_port();
  REQUIRE(bench.set.set({{bench.at(taken), 1}, {bench.at(port), 2}}).ok());
  CHECK(answers(port));
  REQUIRE(bench.set.failures().size() == 1);
  CHECK(bench.set.failures()[0].address == "127.0.0.1:" + std::to_string(taken));
  CHECK(bench.set.failures()[0].reason.find("Address already in use") != std::string::npos);
  // One that is waited for is nobody's mistake in a later config.
  std::uint16_t third = free_port();
  REQUIRE(bench.set
              .set({{bench.at(taken), 1, false, true},
                    {bench.at(port), 2, false, true},
                    {bench.at(third), 3, false, true}})
              .ok());
  CHECK(answers(third));
  foreign.reset();
  int changes = bench.changes;
  turn_until(bench.loop, [&] { return bench.set.failures().empty(); });
  CHECK(bench.changes > changes);
  CHECK(answers(taken));
  // Told once each.
  REQUIRE(bench.observer.listeners.size() == 2);
  CHECK(bench.observer.listeners[1] == "listening 127.0.0.1:" + std::to_string(taken));
}

TEST_CASE("An address that is no longer wanted is not tried again") {
  Bench bench;
  auto foreign = std::make_unique<BoundSocket>(free_listener());
  std::uint16_t taken = port_of(*foreign);
  REQUIRE(bench.set.set({{bench.at(taken), 1}}).ok());
  REQUIRE(bench.set.set({}).ok());
  CHECK(bench.set.failures().empty());
  foreign.reset();
  bool passed = false;
  Timer timer(bench.loop.timers(), [&] { passed = true; });
  timer.arm(bench.loop.refresh() + milliseconds(1200));
  turn_until(bench.loop, [&] { return passed; });
  CHECK_FALSE(answers(taken));
}

TEST_CASE("An address that the host does not have yet is waited for or bound anyway") {
  Bench bench;
  std::uint16_t port = free_port();
  REQUIRE(bench.set.set({{bench.at(port, "192.0.2.1"), 1}}).ok());
  REQUIRE(bench.set.failures().size() == 1);
  CHECK(bench.set.failures()[0].reason.find("192.0.2.1") != std::string::npos);
  REQUIRE(bench.set.set({}).ok());
  REQUIRE(bench.set.set({{bench.at(port, "192.0.2.1"), 1, false, true, true}}).ok());
  CHECK(bench.set.failures().empty());
  CHECK(bench.set.addresses() ==
        std::vector<SocketAddress>{*SocketAddress::literal({"192.0.2.1", port})});
}

TEST_CASE("The pause between two tries grows") {
  Bench bench;
  BoundSocket foreign = free_listener();
  std::uint16_t taken = port_of(foreign);
  REQUIRE(bench.set.set({{bench.at(taken), 1}}).ok());
  bool passed = false;
  Timer timer(bench.loop.timers(), [&] { passed = true; });
  timer.arm(bench.loop.refresh() + milliseconds(3500));
  turn_until(bench.loop, [&] { return passed; });
  CHECK(bench.set.next_try() - bench.loop.refresh() > milliseconds(2500));  // after 1, 2: 4 s
}

TEST_CASE("A name is looked up beside the loop and listened on when it is resolved") {
  Bench bench;
  std::uint16_t port = free_port(), other = free_port();
  REQUIRE(bench.set.set({{bench.at(port, "gw.example"), 1}, {bench.at(other), 2}}).ok());
  CHECK(answers(other));
  CHECK_FALSE(answers(port));
  REQUIRE(bench.looked_up.size() == 1);
  CHECK(bench.looked_up[0].second == "gw.example");
  CHECK(bench.set.failures().size() == 1);
  bench.resolver.answered(1, std::vector<SocketAddress>{*SocketAddress::literal({"127.0.0.1", 0})});
  CHECK(answers(port));
  CHECK(bench.set.failures().empty());
}

TEST_CASE("A name that fails is asked for again and its reason told") {
  Bench bench;
  std::uint16_t port = free_port();
  REQUIRE(bench.set.set({{bench.at(port, "gw.example"), 1}}).ok());
  bench.resolver.answered(1, Error{"gw.example: no answer"});
  REQUIRE(bench.set.failures().size() == 1);
  CHECK(bench.set.failures()[0].reason.find("gw.example: no answer") != std::string::npos);
  turn_until(bench.loop, [&] { return bench.looked_up.size() == 2; });
  bench.resolver.answered(2, std::vector<SocketAddress>{*SocketAddress::literal({"127.0.0.1", 0})});
  CHECK(answers(port));
}

TEST_CASE("A listener that comes back uses the last good addresses of its name at once") {
  Bench bench;
  std::uint16_t port = free_port();
  bench.resolver.remember("gw.example",
                          std::vector<SocketAddress>{*SocketAddress::literal({"127.0.0.1", 0})});
  REQUIRE(bench.set.set({{bench.at(port, "gw.example"), 1}}).ok());
  CHECK(answers(port));
  REQUIRE(bench.set.set({}).ok());
  CHECK_FALSE(answers(port));
  REQUIRE(bench.set.set({{bench.at(port, "gw.example"), 1, false, true}}).ok());
  CHECK(answers(port));
  CHECK(bench.looked_up.empty());
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
