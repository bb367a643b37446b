// ByteQueue: the bytes of one direction of a stream from some offset on, in a chain of blocks.
//
// The queue is a plain record (it lies inside StreamRecord); the functions here give it meaning.
// Every block but the last is full, so the chain is found from the blocks alone. The owner keeps
// the offsets; `end` below is always the offset after the last byte held.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "common/core/block_arena.h"

namespace holdfast {

struct ByteQueue {
  BlockIndex head = kNoBlock;
  BlockIndex tail = kNoBlock;
  std::uint32_t blocks = 0;
};
static_assert(std::is_trivially_copyable_v<ByteQueue>);

// Opens room for up to `size` bytes after `end`: fills `buffers` with where to write them (at most
// buffers.size() of them), returns how many buffers. Must be followed by commit_room() before any
// other call: until then the new blocks hang behind `tail` and do not count.
std::size_t prepare_room(BlockArena& arena, ByteQueue& queue, std::uint64_t stream,
                         std::uint64_t end, std::size_t size, std::span<iovec> buffers);
// `size` bytes were written into the prepared room; gives unused blocks back.
void commit_room(BlockArena& arena, ByteQueue& queue, std::size_t size);

// Copies `bytes` behind the last byte.
void append(BlockArena& arena, ByteQueue& queue, std::uint64_t stream, std::uint64_t end,
            Bytes bytes);

// Gives back every block that lies wholly before `offset`, the last one too. A pinned block goes
// to `pinned` instead.
void release_before(BlockArena& arena, ByteQueue& queue, std::uint64_t offset,
                    std::vector<BlockIndex>& pinned);
void release_all(BlockArena& arena, ByteQueue& queue, std::vector<BlockIndex>& pinned);

// The block that holds the byte at `offset`, from `from` on (kNoBlock: from the head).
BlockIndex find_block(const BlockArena& arena, const ByteQueue& queue, BlockIndex from,
                      std::uint64_t offset);

// Views of the bytes [offset, end), at most `buffers.size()` of them; returns how many.
std::size_t view(BlockArena& arena, const ByteQueue& queue, std::uint64_t offset,
                 std::span<iovec> buffers);

}  // namespace holdfast
