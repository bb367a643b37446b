#include "common/agent/life_cycle.h"

#include "tests/unit/support.h"

namespace holdfast {
namespace {

struct Life {
  Loop loop;
  bool late = false;
  LifeCycle cycle{loop, [this] { late = true; }};
};

}  // namespace

TEST_CASE("What runs drains until it is idle, leaves until all is gone, and stops once") {
  Life life;
  LifeCycle& cycle = life.cycle;
  CHECK((cycle.running() && !cycle.draining() && !cycle.leaving()));
  CHECK_FALSE(cycle.drained(true));
  CHECK_FALSE(cycle.stopped(true));
  CHECK(cycle.drain(DrainUntil::timeout, seconds(60)));
  CHECK((!cycle.running() && cycle.draining() && !cycle.leaving()));
  CHECK(cycle.drain(DrainUntil::timeout, seconds(60)));  // from now on
  CHECK_FALSE(cycle.drained(false));
  CHECK_FALSE(cycle.stopped(true));
  CHECK(cycle.drained(true));
  CHECK(cycle.leave());
  CHECK((cycle.draining() && cycle.leaving()));
  CHECK_FALSE(cycle.leave());
  CHECK_FALSE(cycle.drain(DrainUntil::timeout, seconds(60)));
  CHECK_FALSE(cycle.drained(true));
  CHECK_FALSE(cycle.stopped(false));
  CHECK(cycle.deadline() == life.loop.now() + kLeavePatience);
  CHECK(cycle.stopped(true));
  CHECK_FALSE(cycle.stopped(true));
  CHECK_FALSE(cycle.leave());
  CHECK((cycle.draining() && !cycle.leaving()));
}

TEST_CASE("Who does not come to an end is left at the deadline") {
  Life life;
  life.cycle.drain(DrainUntil::timeout, milliseconds(1));
  turn_until(life.loop, [&] { return life.late; });
  CHECK(life.cycle.drained(false));
  CHECK(life.cycle.leave());
  life.late = false;
  turn_until(life.loop, [&] { return life.late; });
  CHECK(life.cycle.stopped(false));
}

TEST_CASE("A drain until all is gone has no deadline, and may get one") {
  Life life;
  life.cycle.drain(DrainUntil::empty, milliseconds(1));
  CHECK(life.cycle.deadline() == kNever);
  CHECK_FALSE(life.cycle.drained(false));
  CHECK(life.cycle.drained(true));
  life.cycle.drain(DrainUntil::timeout, milliseconds(1));
  turn_until(life.loop, [&] { return life.late; });
  CHECK(life.cycle.drained(false));
}

TEST_CASE("A drain may be taken back until the agent leaves") {
  Life life;
  life.cycle.drain(DrainUntil::timeout, milliseconds(1));
  CHECK(life.cycle.home());
  CHECK(life.cycle.undrain());
  CHECK((life.cycle.running() && life.cycle.home()));
  CHECK_FALSE(life.cycle.drained(true));
  life.cycle.leave();
  CHECK_FALSE(life.cycle.home());
  CHECK_FALSE(life.cycle.undrain());
}

TEST_CASE("A running agent may leave without having drained") {
  Life life;
  CHECK(life.cycle.leave());
  CHECK(life.cycle.stopped(true));
}

}  // namespace holdfast
