// BlockArena: the memory in which every byte that a link holds lies, in blocks of one size.
//
// Blocks are named by number, not by pointer, and each describes itself (owner, generation,
// offset, length), so that an arena placed in shared memory can be read back by another process.
// The arena itself sets no limit: MemoryPool decides who may take how much.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/core/tuning.h"

namespace holdfast {

using BlockIndex = std::uint32_t;
inline constexpr BlockIndex kNoBlock = 0xffffffff;

struct BlockInfo {
  std::uint64_t stream = 0;  // StreamId of the owner; 0: free
  std::uint64_t offset = 0;  // of the block's first byte in the stream
  BlockIndex next = kNoBlock;
  std::uint32_t generation = 0;  // rises each time the block is handed out
  std::uint32_t used = 0;        // bytes written
  std::uint32_t pinned = 0;      // nonzero: a gather that has not left yet refers to it
};

class BlockArena {
 public:
  BlockArena() = default;
  BlockArena(const BlockArena&) = delete;
  BlockArena& operator=(const BlockArena&) = delete;

  BlockIndex allocate(std::uint64_t stream, std::uint64_t offset);
  void release(BlockIndex block);

  std::uint8_t* data(BlockIndex block) {
    return chunks_[block / kBlocksPerChunk].get() +
           (block % kBlocksPerChunk) * tuning::kBlockSize;
  }
  BlockInfo& info(BlockIndex block) { return info_[block]; }
  const BlockInfo& info(BlockIndex block) const { return info_[block]; }

  std::size_t in_use() const { return in_use_; }

 private:
  static constexpr std::size_t kBlocksPerChunk = 256;

  std::vector<std::unique_ptr<std::uint8_t[]>> chunks_;
  std::vector<BlockInfo> info_;
  BlockIndex free_head_ = kNoBlock;
  std::size_t in_use_ = 0;
};

}  // namespace holdfast
