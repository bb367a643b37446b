// BlockArena: the memory in which every byte that a link holds lies, in blocks of one size.
//
// Blocks are named by number, not by pointer, and each describes itself (owner, generation,
// offset, length), so that they can be read back by another process from the region they lie in.
// Who may take how much is MemoryPool's to decide; the arena has room for all of that.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/core/region_memory.h"
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
  // `infos` and as many blocks from `offset` on lie in `memory`, which outlives the arena.
  BlockArena(std::span<BlockInfo> infos, RegionMemory& memory, std::size_t offset)
      : infos_(infos),
        memory_(memory),
        offset_(offset),
        blocks_(reinterpret_cast<std::uint8_t*>(memory.bytes().data()) + offset) {}
  BlockArena(const BlockArena&) = delete;
  BlockArena& operator=(const BlockArena&) = delete;

  BlockIndex allocate(std::uint64_t stream, std::uint64_t offset);
  void release(BlockIndex block);

  std::uint8_t* data(BlockIndex block) { return blocks_ + block * tuning::kBlockSize; }
  BlockInfo& info(BlockIndex block) { return infos_[block]; }
  const BlockInfo& info(BlockIndex block) const { return infos_[block]; }

  std::size_t in_use() const { return in_use_; }

  // Gives the pages of chunks that nobody used since the last call back to the system, so that a
  // burst does not stay resident for ever. Call it every second or so; costs a look at each chunk.
  void trim();

  // Chunks (1 MiB) that may hold resident pages. For tests.
  std::size_t resident_chunks() const;
  static constexpr std::size_t kBlocksPerChunk = 256;

 private:
  static constexpr std::size_t kChunkSize = kBlocksPerChunk * tuning::kBlockSize;

  struct Chunk {
    std::uint32_t in_use = 0;
    bool touched = false;  // since the last trim()
    bool resident = false;
  };

  std::span<BlockInfo> infos_;
  RegionMemory& memory_;
  std::size_t offset_;
  std::uint8_t* blocks_;
  std::vector<Chunk> chunks_;
  BlockIndex used_ = 0;  // that were ever handed out
  BlockIndex free_head_ = kNoBlock;
  std::size_t in_use_ = 0;
};

}  // namespace holdfast
