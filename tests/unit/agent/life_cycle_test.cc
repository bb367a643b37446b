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
  CHECK(cycle.drain(seconds(60)));
  CHECK((!cycle.running() && cycle.draining() && !cycle.leaving()));
  CHECK_FALSE(cycle.drain(seconds(60)));
  CHECK_FALSE(cycle.drained(false));
  CHECK_FALSE(cycle.stopped(true));
  CHECK(cycle.drained(true));
  CHECK(cycle.leave());
  CHECK((cycle.draining() && cycle.leaving()));
  CHECK_FALSE(cycle.leave());
  CHECK_FALSE(cycle.drain(seconds(60)));
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
  life.cycle.drain(milliseconds(1));
  turn_until(life.loop, [&] { return life.late; });
  CHECK(life.cycle.drained(false));
  CHECK(life.cycle.leave());
  life.late = false;
  turn_until(life.loop, [&] { return life.late; });
  CHECK(life.cycle.stopped(false));
}

TEST_CASE("A running agent may leave without having drained") {
  Life life;
  CHECK(life.cycle.leave());
  CHECK(life.cycle.stopped(true));
}

}  // namespace holdfast
