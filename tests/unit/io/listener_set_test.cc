// Which addresses are listened on after a reload, and who is lost by it: nobody.
#include "common/io/listener_set.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/unit/scripted_lookups.h"
#include "tests/unit/support.h"

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
  ListenerNotes observer;
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

bool answers_at(const char* host, std::uint16_t port) {
  auto address = SocketAddress::literal({host, port});
  Descriptor dialled(socket(address->family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect(dialled.get(), address->get(), address->size()) == 0;
}

std::vector<SocketAddress> found(std::initializer_list<const char*> hosts) {
  std::vector<SocketAddress> addresses;
  for (const char* host : hosts) addresses.push_back(*SocketAddress::literal({host, 0}));
  return addresses;
}

TEST_CASE("A listener follows its name") {
  Bench bench;
  std::uint16_t port = free_port();
  bench.resolver.remember("gw.example", found({"127.0.0.1"}));
  ListenerSet::Wanted wanted{bench.at(port, "gw.example"), 1};
  REQUIRE(bench.set.set({wanted}).ok());
  // It is asked for again before long.
  Duration until = bench.set.next_try() - bench.loop.refresh();
  CHECK(until > seconds(50));
  CHECK(until <= seconds(60));
  bench.observer.listeners.clear();
  REQUIRE(bench.set.set({wanted}).ok());
  CHECK(bench.observer.listeners.empty());
  // It has moved: who waits at the old address is still taken.
  Descriptor waiting = dial(*SocketAddress::literal({"127.0.0.1", port}));
  bench.resolver.remember("gw.example", found({"127.0.0.2"}));
  REQUIRE(bench.set.set({wanted}).ok());
  CHECK(bench.guests.tags == std::vector<std::size_t>{1});
  CHECK_FALSE(answers_at("127.0.0.1", port));
  CHECK(answers_at("127.0.0.2", port));
  // One address more, and one less.
  bench.resolver.remember("gw.example", found({"127.0.0.3", "127.0.0.2"}));
  REQUIRE(bench.set.set({wanted}).ok());
  CHECK(answers_at("127.0.0.2", port));
  CHECK(answers_at("127.0.0.3", port));
  bench.resolver.remember("gw.example", found({"127.0.0.3"}));
  REQUIRE(bench.set.set({wanted}).ok());
  CHECK_FALSE(answers_at("127.0.0.2", port));
  CHECK(bench.set.failures().empty());
  CHECK(bench.observer.listeners.size() == 3);
}

TEST_CASE("A name that has moved where it cannot be listened on is served where it was") {
  Bench bench;
  std::uint16_t port = free_port();
  bench.resolver.remember("gw.example", found({"127.0.0.1"}));
  ListenerSet::Wanted wanted{bench.at(port, "gw.example"), 1};
  REQUIRE(bench.set.set({wanted}).ok());
  bench.resolver.remember("gw.example", found({"192.0.2.1"}));
  REQUIRE(bench.set.set({wanted}).ok());
  CHECK(answers(port));
  REQUIRE(bench.set.failures().size() == 1);
  CHECK(bench.set.failures()[0].reason.find("Cannot assign") != std::string::npos);
  // It is tried again soon, not in a minute.
  CHECK(bench.set.next_try() - bench.loop.refresh() <= seconds(1));
  turn_until(bench.loop, [&] { return bench.looked_up.size() == 1; });
  bench.resolver.answered(1, found({"127.0.0.2"}));
  CHECK(bench.set.failures().empty());
  CHECK_FALSE(answers(port));
  CHECK(answers_at("127.0.0.2", port));
}

// A Unix socket's path that is nobody's.
struct UnixPlace {
  std::string folder = "/tmp/holdfast-listeners-XXXXXX";
  std::string path;
  UnixPlace() {
    REQUIRE(mkdtemp(folder.data()) != nullptr);
    path = folder + "/l.sock";
  }
  ~UnixPlace() { std::filesystem::remove_all(folder); }
  unsigned mode() const {
    struct stat info {};
    REQUIRE(lstat(path.c_str(), &info) == 0);
    return info.st_mode & 07777U;
  }
};

TEST_CASE("A Unix listener has its mode and a reload changes it in place") {
  Bench bench;
  UnixPlace place;
  ListenerSet::Wanted wanted{UnixPath{place.path}, 1};
  wanted.access.mode = 0640;
  REQUIRE(bench.set.set({wanted}).ok());
  CHECK(place.mode() == 0640);
  Descriptor waiting = dial(*SocketAddress::unix_path(place.path));
  wanted.access.mode = 0666;
  REQUIRE(bench.set.set({wanted}).ok());
  CHECK(place.mode() == 0666);
  CHECK(bench.guests.tags.empty());  // it was not bound anew
  // Together with an address that cannot be had, nothing is changed.
  BoundSocket foreign = free_listener();
  wanted.access.mode = 0600;
  REQUIRE_FALSE(bench.set.set({wanted, {bench.at(port_of(foreign)), 2, false, true}}).ok());
  CHECK(place.mode() == 0666);
}

TEST_CASE("A Unix listener that cannot be given away is told and leaves no file") {
  if (geteuid() == 0) return;  // root may give files to anybody
  Bench bench;
  UnixPlace place;
  ListenerSet::Wanted wanted{UnixPath{place.path}, 1};
  wanted.access.user = 0;
  REQUIRE(bench.set.set({wanted}).ok());
  REQUIRE(bench.set.failures().size() == 1);
  CHECK(bench.set.failures()[0].reason.find("only root") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(place.path));
}

}  // namespace
}  // namespace holdfast
