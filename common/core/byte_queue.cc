#include "common/core/byte_queue.h"

#include <algorithm>
#include <cstring>

#include "common/base/store_order.h"

namespace holdfast {
namespace {

std::size_t room_in_tail(const BlockArena& arena, const ByteQueue& queue) {
  return queue.tail == kNoBlock ? 0 : tuning::kBlockSize - arena.info(queue.tail).used;
}

void push_block(BlockArena& arena, ByteQueue& queue, BlockIndex block) {
  if (queue.tail == kNoBlock) {
    queue.head = block;
  } else {
    arena.info(queue.tail).next = block;
  }
  queue.tail = block;
  queue.blocks += 1;
}

void give_back(BlockArena& arena, BlockIndex block, std::vector<BlockIndex>& pinned) {
  if (arena.info(block).pinned != 0) {
    pinned.push_back(block);
  } else {
    arena.release(block);
  }
}

void pop_head(BlockArena& arena, ByteQueue& queue, std::vector<BlockIndex>& pinned) {
  BlockIndex block = queue.head;
  queue.head = arena.info(block).next;
  if (queue.head == kNoBlock) queue.tail = kNoBlock;
  queue.blocks -= 1;
  keep_store_order();
  give_back(arena, block, pinned);
}

}  // namespace

std::size_t prepare_room(BlockArena& arena, ByteQueue& queue, std::uint64_t stream,
                         std::uint64_t end, std::size_t size, std::span<iovec> buffers) {
  std::size_t count = 0;
  std::size_t room = room_in_tail(arena, queue);
  if (room != 0 && size != 0 && !buffers.empty()) {
    std::size_t take = std::min(room, size);
    buffers[count++] = {arena.data(queue.tail) + (tuning::kBlockSize - room), take};
    size -= take;
    end += take;
  }
  BlockIndex last = queue.tail;
  while (size != 0 && count < buffers.size()) {
    BlockIndex block = arena.allocate(stream, end);
    keep_store_order();
    (last == kNoBlock ? queue.head : arena.info(last).next) = block;
    last = block;
    std::size_t take = std::min(tuning::kBlockSize, size);
    buffers[count++] = {arena.data(block), take};
    size -= take;
    end += take;
  }
  return count;
}

void commit_room(BlockArena& arena, ByteQueue& queue, std::size_t size) {
  BlockIndex block = queue.tail == kNoBlock ? queue.head : queue.tail;
  while (size != 0) {
    HOLDFAST_CHECK(block != kNoBlock);
    BlockInfo& info = arena.info(block);
    if (block != queue.tail) queue.blocks += 1;
    auto take = static_cast<std::uint32_t>(std::min(size, tuning::kBlockSize - info.used));
    info.used += take;
    size -= take;
    queue.tail = block;
    block = info.next;
  }
  BlockIndex& unused = queue.tail == kNoBlock ? queue.head : arena.info(queue.tail).next;
  while (unused != kNoBlock) {
    BlockIndex next = arena.info(unused).next;
    arena.release(unused);
    unused = next;
  }
}

void append(BlockArena& arena, ByteQueue& queue, std::uint64_t stream, std::uint64_t end,
            Bytes bytes) {
  while (!bytes.empty()) {
    if (room_in_tail(arena, queue) == 0) push_block(arena, queue, arena.allocate(stream, end));
    BlockInfo& info = arena.info(queue.tail);
    std::size_t take = std::min(bytes.size(), tuning::kBlockSize - info.used);
    std::memcpy(arena.data(queue.tail) + info.used, bytes.data(), take);
    info.used += static_cast<std::uint32_t>(take);
    end += take;
    bytes = bytes.subspan(take);
  }
}

void release_before(BlockArena& arena, ByteQueue& queue, std::uint64_t offset,
                    std::vector<BlockIndex>& pinned) {
  while (queue.head != kNoBlock) {
    const BlockInfo& info = arena.info(queue.head);
    if (info.offset + info.used > offset) return;
    pop_head(arena, queue, pinned);
  }
}

void release_all(BlockArena& arena, ByteQueue& queue, std::vector<BlockIndex>& pinned) {
  while (queue.head != kNoBlock) pop_head(arena, queue, pinned);
}

BlockIndex find_block(const BlockArena& arena, const ByteQueue& queue, BlockIndex from,
                      std::uint64_t offset) {
  BlockIndex block = from == kNoBlock ? queue.head : from;
  while (block != kNoBlock) {
    const BlockInfo& info = arena.info(block);
    if (offset < info.offset + info.used) return block;
    block = info.next;
  }
  return kNoBlock;
}

std::size_t view(BlockArena& arena, const ByteQueue& queue, std::uint64_t offset,
                 std::span<iovec> buffers) {
  std::size_t count = 0;
  BlockIndex block = find_block(arena, queue, kNoBlock, offset);
  while (block != kNoBlock && count < buffers.size()) {
    const BlockInfo& info = arena.info(block);
    std::uint64_t skip = offset > info.offset ? offset - info.offset : 0;
    buffers[count++] = {arena.data(block) + skip, info.used - static_cast<std::size_t>(skip)};
    block = info.next;
  }
  return count;
}

}  // namespace holdfast
