#include "common/core/outbox.h"

#include <set>

#include "common/base/random.h"
#include "tests/catch.h"

namespace holdfast {
namespace {

struct Fixture {
  StateRegion region{1 * kMiB, 100, make_plain_memory};
  StreamTable streams{region, 1};
  Outbox outbox{streams};

  SlotIndex add(std::uint64_t id) {
    SlotIndex slot = streams.take();
    streams.add(slot, StreamId{id});
    return slot;
  }
};

}  // namespace

TEST_CASE("each list is taken from in the order in which it was filled") {
  Fixture fixture;
  SlotIndex one = fixture.add(1), two = fixture.add(2);
  Outbox& outbox = fixture.outbox;
  outbox.add_open(one);
  outbox.add_open(two);
  CHECK(outbox.first_open() == one);
  CHECK(outbox.next_open(one) == two);
  outbox.remove_open(one);
  CHECK(outbox.first_open() == two);
  outbox.add_control(one);
  CHECK(outbox.first_control() == one);
  outbox.add_data(two, DataList::bulk);
  CHECK(outbox.lone_bulk());
  outbox.add_data(one, DataList::interactive);
  CHECK_FALSE(outbox.lone_bulk());
  CHECK(outbox.first_data(DataList::interactive) == one);
  CHECK(outbox.first_data(DataList::bulk) == two);
  outbox.check();
}

TEST_CASE("an ack is owed once, and at once when the time for those that wait has come") {
  Fixture fixture;
  SlotIndex one = fixture.add(1), two = fixture.add(2), three = fixture.add(3);
  Outbox& outbox = fixture.outbox;
  CHECK(outbox.ack_deadline() == kNever);
  outbox.add_later_ack(one, Time(milliseconds(25)));
  outbox.add_later_ack(two, Time(milliseconds(30)));
  outbox.add_later_ack(three, Time(milliseconds(35)));
  CHECK(outbox.ack_deadline() == Time(milliseconds(25)));
  CHECK_FALSE(outbox.has_acks());
  outbox.add_ack(two);
  outbox.add_later_ack(two, Time(milliseconds(40)));
  outbox.remove_ack(three);  // it was written with other bytes
  outbox.acks_due();
  CHECK(outbox.ack_deadline() == kNever);
  CHECK(outbox.first_ack() == two);
  outbox.remove_ack(two);
  CHECK(outbox.first_ack() == one);
  outbox.remove_ack(one);
  CHECK_FALSE(outbox.has_acks());
  outbox.check();
}

TEST_CASE("who is over, or without a carrier, has nothing to send") {
  Fixture fixture;
  SlotIndex one = fixture.add(1), two = fixture.add(2);
  Outbox& outbox = fixture.outbox;
  for (SlotIndex slot : {one, two}) {
    outbox.add_control(slot);
    outbox.add_data(slot, DataList::bulk);
  }
  outbox.add_ack(one);
  outbox.add_later_ack(two, Time{});
  outbox.remove(one);
  CHECK(outbox.first_control() == two);
  CHECK_FALSE(outbox.has_acks());
  outbox.clear();
  outbox.check();
  CHECK_FALSE(outbox.has_control());
  CHECK_FALSE(outbox.has_data(DataList::bulk));
  CHECK(outbox.ack_deadline() == kNever);
  CHECK(fixture.streams[two].ack_state == AckState::none);
}

TEST_CASE("lists and records agree under seeded random use") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    Fixture fixture;
    Outbox& outbox = fixture.outbox;
    std::vector<SlotIndex> slots;
    for (std::uint64_t id = 1; id <= 12; ++id) slots.push_back(fixture.add(id));
    std::set<SlotIndex> acks;
    for (int step = 0; step < 300; ++step) {
      SlotIndex slot = slots[random.below(slots.size())];
      switch (random.below(8)) {
        case 0:
          outbox.remove_open(slot);
          outbox.add_control(slot);
          break;
        case 1:
          outbox.remove_control(slot);
          outbox.remove_open(slot);
          outbox.add_open(slot);
          break;
        case 2:
          outbox.add_ack(slot);
          acks.insert(slot);
          break;
        case 3:
          outbox.remove_ack(slot);
          acks.erase(slot);
          break;
        case 4:
          outbox.remove_data(slot);
          outbox.add_data(slot, random.below(2) == 0 ? DataList::bulk : DataList::interactive);
          break;
        case 5:
          outbox.remove_data(slot);
          break;
        case 6:
          outbox.remove(slot);
          acks.erase(slot);
          break;
        case 7:
          if (random.below(20) != 0) break;
          outbox.clear();
          acks.clear();
          break;
      }
      outbox.check();
      REQUIRE(outbox.has_acks() != acks.empty());
    }
  }
}

}  // namespace holdfast
