#include "common/core/block_arena.h"

#include <sys/auxv.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>

namespace holdfast {

void BlockArena::FreeMemory::operator()(std::uint8_t* memory) const {
  std::free(memory);
}

std::size_t BlockArena::host_page_size() {
  return getauxval(AT_PAGESZ);
}

BlockArena::BlockArena(std::size_t page)
    : alignment_(std::clamp(page, tuning::kBlockSize, kChunkSize)) {}

BlockIndex BlockArena::allocate(std::uint64_t stream, std::uint64_t offset) {
  BlockIndex block = free_head_;
  if (block != kNoBlock) {
    free_head_ = info_[block].next;
  } else {
    block = static_cast<BlockIndex>(info_.size());
    if (block % kBlocksPerChunk == 0) {
      // Aligned to pages, and not zeroed: they are touched when they are first used.
      auto* memory = static_cast<std::uint8_t*>(std::aligned_alloc(alignment_, kChunkSize));
      HOLDFAST_CHECK(memory != nullptr);
      chunks_.emplace_back().memory.reset(memory);
    }
    info_.emplace_back();
  }
  Chunk& chunk = chunks_[block / kBlocksPerChunk];
  chunk.in_use += 1;
  chunk.touched = true;
  chunk.resident = true;
  BlockInfo& info = info_[block];
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
  BlockInfo& info = info_[block];
  HOLDFAST_CHECK(info.stream != 0);
  info.stream = 0;
  info.next = free_head_;
  free_head_ = block;
  in_use_ -= 1;
  chunks_[block / kBlocksPerChunk].in_use -= 1;
}

void BlockArena::trim() {
  for (Chunk& chunk : chunks_) {
    if (chunk.resident && !chunk.touched && chunk.in_use == 0) {
      // Refused (locked memory): it stays, and is tried again.
      chunk.resident = madvise(chunk.memory.get(), kChunkSize, MADV_DONTNEED) != 0;
    }
    chunk.touched = false;
  }
}

std::size_t BlockArena::resident_chunks() const {
  return static_cast<std::size_t>(
      std::count_if(chunks_.begin(), chunks_.end(), [](const Chunk& c) { return c.resident; }));
}

}  // namespace holdfast
