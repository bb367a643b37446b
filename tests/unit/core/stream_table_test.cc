#include "common/core/stream_table.h"

#include <list>

#include "common/base/random.h"
#include "tests/catch.h"

namespace holdfast {
namespace {

std::vector<std::uint64_t> ids_in_order(const StreamTable& table) {
  std::vector<std::uint64_t> ids;
  for (SlotIndex slot = table.first(); slot != kNoSlot; slot = table.next(slot)) {
    ids.push_back(table[slot].id);
  }
  return ids;
}

SlotIndex add(StreamTable& table, std::uint64_t id) {
  SlotIndex slot = table.take();
  table.add(slot, StreamId{id});
  return slot;
}

}  // namespace

TEST_CASE("records are found by id and walked in order of id") {
  StateRegion region(1 * kMiB, 1000, make_plain_memory);
  StreamTable table(region, 1);
  SlotIndex one = add(table, 1);
  add(table, 5);
  add(table, 9);
  CHECK(ids_in_order(table) == std::vector<std::uint64_t>{1, 5, 9});
  CHECK(table.find(StreamId{1}) == one);
  CHECK(table.find(StreamId{2}) == kNoSlot);
  table.remove(table.find(StreamId{5}));
  CHECK(ids_in_order(table) == std::vector<std::uint64_t>{1, 9});
  CHECK(table.find(StreamId{5}) == kNoSlot);
  CHECK(table.size() == 2);
}

TEST_CASE("a slot taken anew begins blank and with another generation") {
  StateRegion region(1 * kMiB, 1000, make_plain_memory);
  StreamTable table(region, 1);
  SlotIndex slot = add(table, 1);
  table[slot].origin = 77;
  std::uint32_t generation = table[slot].generation;
  table.remove(slot);
  REQUIRE(add(table, 2) == slot);
  CHECK(table[slot].origin == 0);
  CHECK(table[slot].generation == generation + 1);
  CHECK(table.slots() == RecordChunk::kRecords);
}

TEST_CASE("intrusive lists agree with a model under seeded random use") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    StateRegion region(1 * kMiB, 100, make_plain_memory);
    StreamTable table(region, 1);
    std::vector<SlotIndex> slots;
    for (std::uint64_t id = 1; id <= 20; ++id) slots.push_back(add(table, id));
    SlotList list;
    std::list<SlotIndex> model;
    for (int step = 0; step < 300; ++step) {
      SlotIndex slot = slots[random.below(slots.size())];
      auto at = std::find(model.begin(), model.end(), slot);
      if (at == model.end()) {
        table.push_back<&StreamRecord::data>(list, slot);
        model.push_back(slot);
      } else {
        table.erase<&StreamRecord::data>(list, slot);
        model.erase(at);
      }
      std::list<SlotIndex> forward;
      for (SlotIndex s = list.first; s != kNoSlot; s = table[s].data.next) forward.push_back(s);
      REQUIRE(forward == model);
      std::list<SlotIndex> backward;
      for (SlotIndex s = list.last; s != kNoSlot; s = table[s].data.previous)
        backward.push_front(s);
      REQUIRE(backward == model);
      REQUIRE(list.empty() == model.empty());
    }
  }
}

TEST_CASE("a record is small, fixed and can be copied as bytes") {
  CHECK(std::is_trivially_copyable_v<StreamRecord>);
  CHECK(sizeof(StreamRecord) <= 416);
}

TEST_CASE("records stay where they are while the table grows") {
  StateRegion region(1 * kMiB, 1000, make_plain_memory);
  StreamTable table(region, 1);
  std::vector<const StreamRecord*> places;
  for (std::uint64_t id = 1; id <= 1000; ++id) {
    SlotIndex slot = add(table, id);
    table[slot].origin = id;
    places.push_back(&table[slot]);
  }
  for (SlotIndex slot = 0; slot < places.size(); ++slot) {
    REQUIRE(&table[slot] == places[slot]);
    REQUIRE(places[slot]->origin == slot + 1);
  }
}

TEST_CASE("a record has no id before it is added") {
  StateRegion region(1 * kMiB, 1000, make_plain_memory);
  StreamTable table(region, 1);
  SlotIndex slot = table.take();
  CHECK(table[slot].id == 0);
  CHECK(table.empty());
  CHECK(table.first() == kNoSlot);
  table.add(slot, StreamId{3});
  CHECK(table[slot].id == 3);
  CHECK(table.first() == slot);
}

TEST_CASE("chunks without records go back, all but a few, and their slots come again") {
  StateRegion region(1 * kMiB, 1000, make_plain_memory);
  StreamTable table(region, 1);
  std::uint64_t id = 0;
  for (int round = 0; round < 3; ++round) {
    std::vector<std::uint64_t> ids;
    for (int i = 0; i < 100; ++i) {
      SlotIndex slot = add(table, ++id);
      REQUIRE(table.used(slot) != nullptr);
      ids.push_back(id);
    }
    CHECK(table.slots() == 104);
    for (std::uint64_t each : ids) {
      StreamHandle handle = table.handle(table.find(StreamId{each}));
      table.remove(handle.slot);
      REQUIRE(table.find(handle) == nullptr);
      REQUIRE(table.used(handle.slot) == nullptr);
    }
    CHECK(table.empty());
  }
  // What another takes now is one of those.
  CHECK(region.take_chunk(2, 0) != nullptr);
}

TEST_CASE("a link without a place in the region, and one that finds it full, has records as well") {
  StateRegion region(1 * kMiB, 1, make_plain_memory);
  while (region.take_chunk(2, 0) != nullptr) {
  }
  StreamTable crowded(region, 1);
  StreamTable placeless(region, kNoLink);
  for (std::uint64_t id = 1; id <= 20; ++id) {
    add(crowded, id);
    add(placeless, id);
  }
  for (std::uint64_t id = 1; id <= 20; ++id) crowded.remove(crowded.find(StreamId{id}));
  CHECK(crowded.empty());
  CHECK(placeless.size() == 20);
}

}  // namespace holdfast
