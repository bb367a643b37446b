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
  // Chunks begin at a page of `page` bytes, so that whole pages can be given back.
  explicit BlockArena(std::size_t page = host_page_size());
  BlockArena(const BlockArena&) = delete;
  BlockArena& operator=(const BlockArena&) = delete;

  BlockIndex allocate(std::uint64_t stream, std::uint64_t offset);
  void release(BlockIndex block);

  std::uint8_t* data(BlockIndex block) {
    return chunks_[block / kBlocksPerChunk].memory.get() +
           (block % kBlocksPerChunk) * tuning::kBlockSize;
  }
  BlockInfo& info(BlockIndex block) { return info_[block]; }
  const BlockInfo& info(BlockIndex block) const { return info_[block]; }

  std::size_t in_use() const { return in_use_; }

  // Gives the pages of chunks that nobody used since the last call back to the system, so that a
  // burst does not stay resident for ever. Call it every second or so; costs a look at each chunk.
  void trim();
  static std::size_t host_page_size();

  // Chunks (1 MiB) that may hold resident pages. For tests.
  std::size_t resident_chunks() const;

 private:
  static constexpr std::size_t kBlocksPerChunk = 256;
  static constexpr std::size_t kChunkSize = kBlocksPerChunk * tuning::kBlockSize;

  struct FreeMemory {
    void operator()(std::uint8_t* memory) const;
  };
  struct Chunk {
    std::unique_ptr<std::uint8_t[], FreeMemory> memory;
    std::uint32_t in_use = 0;
    bool touched = false;  // since the last trim()
    bool resident = false;
  };

  std::size_t alignment_;
  std::vector<Chunk> chunks_;
  std::vector<BlockInfo> info_;
  BlockIndex free_head_ = kNoBlock;
  std::size_t in_use_ = 0;
};

}  // namespace holdfast
