#include "common/core/block_arena.h"

namespace holdfast {

BlockIndex BlockArena::allocate(std::uint64_t stream, std::uint64_t offset) {
  BlockIndex block = free_head_;
  if (block != kNoBlock) {
    free_head_ = info_[block].next;
  } else {
    block = static_cast<BlockIndex>(info_.size());
    if (block % kBlocksPerChunk == 0) {
      // Not zeroed: pages are touched when they are first used.
      chunks_.emplace_back(new std::uint8_t[kBlocksPerChunk * tuning::kBlockSize]);
    }
    info_.emplace_back();
  }
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
}

}  // namespace holdfast
