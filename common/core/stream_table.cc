#include "common/core/stream_table.h"

#include "common/base/store_order.h"

namespace holdfast {
namespace {

// Empty chunks that a table keeps, for who comes next.
constexpr std::size_t kSpareChunks = 4;

}  // namespace

StreamTable::~StreamTable() {
  for (Chunk& chunk : chunks_) give_back(chunk);
}

// There is no free slot in those that are here.
void StreamTable::add_chunk() {
  std::uint32_t number;
  if (vacant_.empty()) {
    number = static_cast<std::uint32_t>(chunks_.size());
    chunks_.emplace_back();
    free_slots_.reserve(chunks_.capacity() * RecordChunk::kRecords);  // remove() must not allocate
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
  empty_ += 1;
  SlotIndex first = number * RecordChunk::kRecords;
  for (SlotIndex i = RecordChunk::kRecords; i-- > 0;) free_slots_.push_back(first + i);
}

SlotIndex StreamTable::take() {
  // Those of chunks that were given back are passed over.
  while (!free_slots_.empty() && at(free_slots_.back()) == nullptr) free_slots_.pop_back();
  if (free_slots_.empty()) add_chunk();
  SlotIndex slot = free_slots_.back();
  free_slots_.pop_back();
  Chunk& chunk = chunks_[slot / RecordChunk::kRecords];
  SlotIndex index = slot % RecordChunk::kRecords;
  if (chunk.taken == 0) empty_ -= 1;
  chunk.taken += 1;
  StreamRecord& record = chunk.records->records[index];
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

void StreamTable::hide(SlotIndex slot) {
  StreamRecord& record = (*this)[slot];
  HOLDFAST_CHECK(record.id != 0);
  by_id_.erase(record.id);
  erase<&StreamRecord::by_id>(order_, slot);
  record.over = true;
  keep_store_order();
  record.id = 0;
}

void StreamTable::remove(SlotIndex slot) {
  if ((*this)[slot].id != 0) hide(slot);
  std::uint32_t number = slot / RecordChunk::kRecords;
  Chunk& chunk = chunks_[number];
  chunk.taken -= 1;
  if (chunk.taken == 0 && empty_ == kSpareChunks) {
    give_back(chunk);
    vacant_.push_back(number);
    return;
  }
  if (chunk.taken == 0) empty_ += 1;
  free_slots_.push_back(slot);
}

void StreamTable::give_back(Chunk& chunk) {
  if (chunk.records == nullptr) return;
  if (chunk.own == nullptr) region_.give_back(chunk.records);
  chunk.own.reset();
  chunk.records = nullptr;
}

}  // namespace holdfast
