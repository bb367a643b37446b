// Watching whether a target takes connections.
#include "server-agent/target_watch.h"

#include "tests/unit/support.h"

namespace holdfast {
namespace {

struct Setup {
  Loop loop;
  Resolver resolver{loop};
  DescriptorBudget budget{1024};
};

Target target_at(const SocketAddress& address) {
  return {HostPort{"127.0.0.1", address.endpoint().port}, seconds(3)};
}

TEST_CASE("A target that refuses is down, and up when it listens again") {
  Setup setup;
  SocketAddress there;
  {
    BoundSocket listener = free_listener();
    there = bound_address(listener.descriptor());
  }
  int changes = 0;
  TargetWatch watch(setup.loop, setup.resolver, setup.budget, {target_at(there), milliseconds(10)},
                    [&] { changes += 1; });
  CHECK_FALSE(watch.down());
  turn_until(setup.loop, [&] { return watch.down(); });
  auto sockets = bind_sockets(HostPort{"127.0.0.1", there.endpoint().port}, nullptr);
  REQUIRE(sockets.ok());
  turn_until(setup.loop, [&] { return !watch.down(); });
  CHECK(changes == 2);
}

TEST_CASE("What a real connect comes to counts at once, and no answer changes nothing") {
  Setup setup;
  int changes = 0;
  TargetWatch watch(setup.loop, setup.resolver, setup.budget,
                    {Target{HostPort{"127.0.0.1", 1}, seconds(3)}, seconds(3600)},
                    [&] { changes += 1; });
  watch.note(Cause::target_timeout);
  watch.note(Cause::limit);
  CHECK_FALSE(watch.down());
  watch.note(Cause::target_refused);
  CHECK(watch.down());
  watch.note(Cause::target_timeout);
  CHECK(watch.down());
  watch.note(Cause::none);
  CHECK_FALSE(watch.down());
  CHECK(changes == 2);
}

}  // namespace
}  // namespace holdfast
