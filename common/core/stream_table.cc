#include "common/core/stream_table.h"

#include "common/base/store_order.h"

namespace holdfast {

SlotIndex StreamTable::take() {
  SlotIndex slot;
  if (free_slots_.empty()) {
    slot = static_cast<SlotIndex>(slots_);
    std::size_t room = chunks_.empty() ? 0 : std::size_t{1} << (chunks_.size() - 1 + kFirstBits);
    if (slots_ == room) {
      std::size_t size = chunks_.empty() ? std::size_t{1} << kFirstBits : room;
      chunks_.push_back(std::make_unique_for_overwrite<std::byte[]>(size * sizeof(StreamRecord)));
      free_slots_.reserve(room + size);  // remove() must not allocate
    }
    slots_ += 1;
    std::construct_at(&(*this)[slot]);
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  StreamRecord& record = (*this)[slot];
  std::uint32_t generation = record.generation + 1;
  record = StreamRecord{};
  record.generation = generation;
  return slot;
}

void StreamTable::add(SlotIndex slot, StreamId id) {
  HOLDFAST_CHECK(id.value != 0);
  HOLDFAST_CHECK(order_.empty() || (*this)[order_.last].id < id.value);
  by_id_.emplace(id.value, slot);
  push_back<&StreamRecord::by_id>(order_, slot);
  keep_store_order();
  (*this)[slot].id = id.value;
}

void StreamTable::remove(SlotIndex slot) {
  StreamRecord& record = (*this)[slot];
  HOLDFAST_CHECK(record.id != 0);
  by_id_.erase(record.id);
  erase<&StreamRecord::by_id>(order_, slot);
  record.id = 0;
  free_slots_.push_back(slot);
}

}  // namespace holdfast
