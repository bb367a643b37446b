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

}  // namespace

TEST_CASE("records are found by id and walked in order of id") {
  StreamTable table;
  SlotIndex one = table.add(StreamId{1});
  table.add(StreamId{5});
  table.add(StreamId{9});
  CHECK(ids_in_order(table) == std::vector<std::uint64_t>{1, 5, 9});
  CHECK(table.find(StreamId{1}) == one);
  CHECK(table.find(StreamId{2}) == kNoSlot);
  table.remove(table.find(StreamId{5}));
  CHECK(ids_in_order(table) == std::vector<std::uint64_t>{1, 9});
  CHECK(table.find(StreamId{5}) == kNoSlot);
  CHECK(table.size() == 2);
}

TEST_CASE("a slot taken anew begins blank and with another generation") {
  StreamTable table;
  SlotIndex slot = table.add(StreamId{1});
  table[slot].committed = 77;
  std::uint32_t generation = table[slot].generation;
  table.remove(slot);
  REQUIRE(table.add(StreamId{2}) == slot);
  CHECK(table[slot].committed == 0);
  CHECK(table[slot].generation == generation + 1);
  CHECK(table.slots() == 1);
}

TEST_CASE("intrusive lists agree with a model under seeded random use") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    StreamTable table;
    std::vector<SlotIndex> slots;
    for (std::uint64_t id = 1; id <= 20; ++id) slots.push_back(table.add(StreamId{id}));
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

TEST_CASE("offsets of end marks follow the bytes") {
  StreamRecord record;
  record.committed = 10;
  CHECK(record.sequence_end() == 10);
  record.own_end = EndMark::fin;
  CHECK(record.sequence_end() == 11);
  CHECK(record.own_fin_offset() == 10);
  record.own_end = with_abort(record.own_end);
  CHECK(record.sequence_end() == 12);
  CHECK(record.own_abort_offset() == 11);
  record.own_end = EndMark::abort;
  CHECK(record.own_abort_offset() == 10);
}

}  // namespace holdfast
