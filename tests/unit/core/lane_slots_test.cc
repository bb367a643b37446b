#include "common/core/lane_slots.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

TEST_CASE("Lanes take the lowest slots, and no more than there are") {
  LaneSlots slots;
  for (unsigned lane = 0; lane < kLanesOfALink; ++lane) CHECK(slots.take(Time{}) == lane);
  CHECK_FALSE(slots.take(Time{}).has_value());
  slots.give_back(3, Time{});
  CHECK(slots.take(Time{}) == 3U);
  LaneSlots few;
  CHECK(few.take(Time{}, 2) == 0U);
  CHECK(few.take(Time{}, 2) == 1U);
  CHECK_FALSE(few.take(Time{}, 2).has_value());
}

TEST_CASE("A slot that the server may still hold is left alone until its grace is over") {
  LaneSlots slots;
  slots.take(Time{});
  slots.take(Time{});
  slots.give_back(1, Time(seconds(300)));
  CHECK(slots.take(Time(seconds(299))) == 2U);
  CHECK(slots.take(Time(seconds(300))) == 1U);
}

TEST_CASE("A slot with a leaving lane and its successor is free when both are gone") {
  LaneSlots slots;
  slots.take(Time{});
  slots.take_again(0);
  slots.give_back(0, Time{});
  CHECK(slots.taken(0));
  CHECK(slots.take(Time{}) == 1U);
  slots.give_back(0, Time{});
  CHECK(slots.take(Time{}) == 0U);
}

}  // namespace
}  // namespace holdfast
