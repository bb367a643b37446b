#include "common/core/stream_table.h"

namespace holdfast {

SlotIndex StreamTable::add(StreamId id) {
  HOLDFAST_CHECK(id.value != 0);
  HOLDFAST_CHECK(order_.empty() || records_[order_.last].id < id.value);
  SlotIndex slot;
  if (free_slots_.empty()) {
    slot = static_cast<SlotIndex>(records_.size());
    records_.emplace_back();
    // remove() must not allocate.
    free_slots_.reserve(records_.capacity());
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  StreamRecord& record = records_[slot];
  std::uint32_t generation = record.generation + 1;
  record = StreamRecord{};
  record.generation = generation;
  record.id = id.value;
  by_id_.emplace(id.value, slot);
  push_back<&StreamRecord::by_id>(order_, slot);
  return slot;
}

void StreamTable::remove(SlotIndex slot) {
  StreamRecord& record = records_[slot];
  HOLDFAST_CHECK(record.id != 0);
  by_id_.erase(record.id);
  erase<&StreamRecord::by_id>(order_, slot);
  record.id = 0;
  free_slots_.push_back(slot);
}

}  // namespace holdfast
