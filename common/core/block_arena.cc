#include "common/core/block_arena.h"

#include <algorithm>

namespace holdfast {

BlockIndex BlockArena::allocate(std::uint64_t stream, std::uint64_t offset) {
  BlockIndex block = free_head_;
  if (block != kNoBlock) {
    free_head_ = infos_[block].next;
  } else {
    HOLDFAST_CHECK(used_ < infos_.size());
    block = used_++;
    if (block % kBlocksPerChunk == 0) chunks_.emplace_back();
  }
  Chunk& chunk = chunks_[block / kBlocksPerChunk];
  chunk.in_use += 1;
  chunk.touched = true;
  chunk.resident = true;
  BlockInfo& info = infos_[block];
  info.stream = stream;
  info.offset = offset;
  info.next = kNoBlock;
  info.generation += 1;
  info.used = 0;
  info.pinned = 0;
  in_use_ += 1;
  return block;
}

void BlockArena::release(BlockIndex block) {
  BlockInfo& info = infos_[block];
  HOLDFAST_CHECK(info.stream != 0);
  info.stream = 0;
  info.next = free_head_;
  free_head_ = block;
  in_use_ -= 1;
  chunks_[block / kBlocksPerChunk].in_use -= 1;
}

void BlockArena::trim() {
  std::size_t at = offset_;
  for (Chunk& chunk : chunks_) {
    if (chunk.resident && !chunk.touched && chunk.in_use == 0) {
      // Refused (locked memory): it stays, and is tried again.
      chunk.resident = !memory_.give_back(at, kChunkSize);
    }
    chunk.touched = false;
    at += kChunkSize;
  }
}

std::size_t BlockArena::resident_chunks() const {
  return static_cast<std::size_t>(
      std::count_if(chunks_.begin(), chunks_.end(), [](const Chunk& c) { return c.resident; }));
}

}  // namespace holdfast
