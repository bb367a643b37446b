#include "common/io/listener.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/support.h"

namespace holdfast {
namespace {

struct Guests final : public Listener::Handler {
  std::vector<Descriptor> taken;
  std::size_t room = SIZE_MAX;
  void accepted(Listener&, Descriptor& socket, const SocketAddress&) override {
    if (taken.size() < room) taken.push_back(std::move(socket));
  }
};

TEST_CASE("Out of descriptors a listener waits without spinning, and goes on when some are free") {
  Loop loop;
  ListenerNotes observer;
  Guests guests;
  BoundSocket bound = free_listener();
  SocketAddress address = bound_address(bound.descriptor());
  std::vector<Descriptor> callers;
  callers.push_back(dial(address));
  DescriptorBudget budget(1 << 20);
  Listener listener(loop, std::move(bound), 0, budget, guests, observer);
  // Everybody is called once before: UBSan needs descriptors for a first call.
  guests.room = 0;
  turn_until(loop, [&] { return !observer.listeners.empty(); });
  guests.room = SIZE_MAX;
  listener.resume();
  observer.listeners.clear();
  bool warm = false;
  Timer warming(loop.timers(), [&] { warm = true; });
  warming.arm(loop.refresh());
  turn_until(loop, [&] { return warm && guests.taken.size() == 1; });
  for (int i = 0; i < 3; ++i) callers.push_back(dial(address));
  // Every descriptor below the limit is taken.
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  Descriptor probe(fcntl(0, F_DUPFD_CLOEXEC, 0));
  REQUIRE(probe.valid());
  rlimit few = before;
  few.rlim_cur = static_cast<rlim_t>(probe.get()) + 1;
  int limited = setrlimit(RLIMIT_NOFILE, &few);  // no checks until it is lifted: they open things
  int turns = 0;
  bool over = false;
  Timer while_scarce(loop.timers(), [&] { over = true; });
  while_scarce.arm(loop.refresh() + milliseconds(500));
  turn_until(loop, [&] {
    turns += 1;
    return over;
  });
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  REQUIRE(limited == 0);
  CHECK(guests.taken.size() == 1);
  CHECK(observer.listeners == std::vector<std::string>{"paused"});
  CHECK(turns < 20);
  turn_until(loop, [&] { return guests.taken.size() == 4; });
  CHECK(observer.listeners == std::vector<std::string>{"paused", "resumed"});
}

TEST_CASE("A listener stops before the last descriptors are gone") {
  Loop loop;
  ListenerNotes observer;
  Guests guests;
  BoundSocket bound = free_listener();
  SocketAddress address = bound_address(bound.descriptor());
  std::vector<Descriptor> callers;
  for (int i = 0; i < 20; ++i) callers.push_back(dial(address));
  Descriptor probe(fcntl(0, F_DUPFD_CLOEXEC, 0));
  // Scarce from four above the lowest free one on.
  int lowest = probe.get();
  probe.reset();
  std::size_t limit = static_cast<std::size_t>(lowest + 4) * 8 / 7;
  DescriptorBudget budget(limit);
  Listener listener(loop, std::move(bound), 0, budget, guests, observer);
  turn_until(loop, [&] { return !observer.listeners.empty(); });
  CHECK(guests.taken.size() < 12);
  CHECK_FALSE(guests.taken.empty());
}

TEST_CASE("Whom the handler has no room for waits and is offered first") {
  Loop loop;
  ListenerNotes observer;
  Guests guests;
  guests.room = 2;
  BoundSocket bound = free_listener();
  SocketAddress address = bound_address(bound.descriptor());
  std::vector<Descriptor> callers;
  for (int i = 0; i < 4; ++i) callers.push_back(dial(address));
  DescriptorBudget budget(1 << 20);
  Listener listener(loop, std::move(bound), 0, budget, guests, observer);
  turn_until(loop, [&] { return !observer.listeners.empty(); });
  CHECK(guests.taken.size() == 2);
  guests.room = 3;
  listener.resume();
  CHECK(guests.taken.size() == 3);
  SocketAddress third = bound_address(callers[2].get());
  CHECK(SocketAddress::peer_of(guests.taken[2].get()) == third);
  guests.room = 4;
  listener.resume();
  CHECK(guests.taken.size() == 4);
  CHECK(observer.listeners == std::vector<std::string>{"paused", "resumed"});
}

TEST_CASE("A stale Unix socket is replaced, a living one refused, and the file goes at the end") {
  std::string path = "/tmp/holdfast-listener-test-" + std::to_string(getpid());
  SocketAddress address = *SocketAddress::unix_path(path);
  {
    Descriptor dead = make_socket(AF_UNIX);
    REQUIRE(bind(dead.get(), address.get(), address.size()) == 0);
  }
  {
    auto first = bind_sockets(UnixPath{path}, nullptr);
    REQUIRE(first.ok());
    auto second = bind_sockets(UnixPath{path}, nullptr);
    REQUIRE_FALSE(second.ok());
    CHECK(second.error().message.find(path) != std::string::npos);
  }
  CHECK(access(path.c_str(), F_OK) != 0);
}

TEST_CASE("A port that is taken is an error that names it") {
  BoundSocket first = free_listener();
  std::uint16_t port = bound_address(first.descriptor()).endpoint().port;
  auto second = bind_sockets(HostPort{"127.0.0.1", port}, nullptr);
  REQUIRE_FALSE(second.ok());
  CHECK(second.error().message.find(std::to_string(port)) != std::string::npos);
}

}  // namespace
}  // namespace holdfast
