#include "common/core/stream_table.h"

#include <bit>

#include "common/base/store_order.h"

namespace holdfast {

StreamTable::~StreamTable() {
  for (Chunk& chunk : chunks_) give_back(chunk);
}

// One that has room.
std::uint32_t StreamTable::open_chunk() {
  while (!open_.empty()) {
    Chunk& chunk = chunks_[open_.back()];
    if (chunk.records != nullptr && chunk.taken != kFull) return open_.back();
    chunk.listed = false;
    open_.pop_back();
  }
  std::uint32_t number;
  if (vacant_.empty()) {
    number = static_cast<std::uint32_t>(chunks_.size());
    chunks_.emplace_back();
    open_.reserve(chunks_.capacity());  // remove() must not allocate
    vacant_.reserve(chunks_.capacity());
  } else {
    number = vacant_.back();
    vacant_.pop_back();
  }
  Chunk& chunk = chunks_[number];
  chunk.records = owner_ == kNoLink ? nullptr : region_.take_chunk(owner_, number);
  if (chunk.records == nullptr) {
    chunk.own = std::make_unique<RecordChunk>();
    chunk.records = chunk.own.get();
  }
  chunk.listed = true;
  open_.push_back(number);
  empty_ += 1;
  return number;
}

SlotIndex StreamTable::take() {
  std::uint32_t number = open_chunk();
  Chunk& chunk = chunks_[number];
  if (chunk.taken == 0) empty_ -= 1;
  auto index = static_cast<SlotIndex>(std::countr_one(chunk.taken));
  chunk.taken = static_cast<std::uint8_t>(chunk.taken | 1U << index);
  StreamRecord& record = chunk.records->records[index];
  std::uint32_t generation = record.generation + 1;
  record = StreamRecord{};
  record.generation = generation;
  return number * RecordChunk::kRecords + index;
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
  std::uint32_t number = slot / RecordChunk::kRecords;
  Chunk& chunk = chunks_[number];
  chunk.taken = static_cast<std::uint8_t>(chunk.taken & ~(1U << slot % RecordChunk::kRecords));
  if (chunk.taken == 0 && empty_ != 0) {  // one more is enough for who comes next
    give_back(chunk);
    vacant_.push_back(number);
    return;
  }
  if (chunk.taken == 0) empty_ += 1;
  if (chunk.listed) return;
  chunk.listed = true;
  open_.push_back(number);
}

void StreamTable::give_back(Chunk& chunk) {
  if (chunk.records == nullptr) return;
  if (chunk.own == nullptr) region_.give_back(chunk.records);
  chunk.own.reset();
  chunk.records = nullptr;
}

}  // namespace holdfast
