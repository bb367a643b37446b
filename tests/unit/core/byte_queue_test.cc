#include "common/core/byte_queue.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <deque>

#include "common/base/random.h"
#include "common/core/state_region.h"
#include "tests/catch.h"

namespace holdfast {
namespace {

// Memory of a host with pages of this size, which takes whole ones back and refuses others.
class PagedMemory final : public RegionMemory {
 public:
  struct Piece {
    std::size_t offset;
    std::size_t size;
  };

  PagedMemory(std::size_t size, std::size_t page, std::vector<Piece>& given_back)
      : RegionMemory({}), memory_(make_plain_memory(size)), page_(page), given_back_(given_back) {
    set(memory_->bytes());
  }
  bool give_back(std::size_t offset, std::size_t size) override {
    given_back_.push_back({offset, size});
    return offset % page_ == 0 && size % page_ == 0;
  }

 private:
  std::unique_ptr<RegionMemory> memory_;
  std::size_t page_;
  std::vector<Piece>& given_back_;
};

// A queue with its offsets, as a record keeps them, beside a model of plain bytes.
struct Queue {
  using Buffer = std::vector<std::uint8_t>;

  BlockArena& arena;
  ByteQueue bytes;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::deque<std::uint8_t> model;
  std::vector<BlockIndex> pinned;

  Buffer next_bytes(Random& random, std::size_t size) {
    Buffer out(size);
    for (auto& b : out) b = static_cast<std::uint8_t>(random.next());
    return out;
  }

  void append_some(Random& random, std::size_t size) {
    Buffer more = next_bytes(random, size);
    append(arena, bytes, 1, end, more);
    model.insert(model.end(), more.begin(), more.end());
    end += size;
  }

  // prepare, write part of the room, commit.
  void read_some(Random& random, std::size_t want, std::size_t got) {
    iovec room[5];
    std::size_t count = prepare_room(arena, bytes, 1, end, want, room);
    std::size_t size = 0;
    for (std::size_t i = 0; i < count; ++i) size += room[i].iov_len;
    REQUIRE(size <= want);
    got = std::min(got, size);
    Buffer more = next_bytes(random, got);
    std::size_t at = 0;
    for (std::size_t i = 0; i < count && at < got; ++i) {
      std::size_t part = std::min(room[i].iov_len, got - at);
      std::memcpy(room[i].iov_base, more.data() + at, part);
      at += part;
    }
    commit_room(arena, bytes, got);
    model.insert(model.end(), more.begin(), more.end());
    end += got;
  }

  void release(std::uint64_t size) {
    begin += size;
    model.erase(model.begin(), model.begin() + static_cast<std::ptrdiff_t>(size));
    release_before(arena, bytes, begin, pinned);
  }

  void check_against_model(std::uint64_t from) {
    std::vector<iovec> views(4096);
    std::size_t count = view(arena, bytes, from, views);
    Buffer seen;
    for (std::size_t i = 0; i < count; ++i) {
      auto* data = static_cast<std::uint8_t*>(views[i].iov_base);
      REQUIRE(views[i].iov_len != 0);
      seen.insert(seen.end(), data, data + views[i].iov_len);
    }
    Buffer expected(model.begin() + static_cast<std::ptrdiff_t>(from - begin), model.end());
    REQUIRE(seen == expected);
  }
};

}  // namespace

TEST_CASE("chunks are whole pages, on hosts of small and of large ones") {
  auto page = GENERATE(std::size_t{4}, std::size_t{16}, std::size_t{64}) * kKiB;
  CAPTURE(page);
  std::vector<PagedMemory::Piece> given_back;
  StateRegion region(64 * kMiB, 100, [&](std::size_t size) {
    return std::make_unique<PagedMemory>(size, page, given_back);
  });
  BlockArena& arena = region.arena();
  std::vector<BlockIndex> blocks;
  for (int i = 0; i < 600; ++i) blocks.push_back(arena.allocate(1, 0));  // three chunks
  for (BlockIndex block : blocks) arena.release(block);
  CHECK(arena.resident_chunks() == 3);
  arena.trim();
  arena.trim();
  CHECK(arena.resident_chunks() == 0);
  CHECK(given_back.size() == 3);
  for (const PagedMemory::Piece& piece : given_back) {
    CHECK(piece.offset % page == 0);
    CHECK(piece.size % page == 0);
  }
}

TEST_CASE("what the host does not take back stays counted, and is offered again") {
  StateRegion region(64 * kMiB, 100, make_plain_memory);
  BlockArena& arena = region.arena();
  arena.release(arena.allocate(1, 0));
  // Asked of the kernel itself: sanitizers make mlock(2) do nothing.
  REQUIRE(::syscall(SYS_mlock, arena.data(0), std::size_t{4096}) == 0);
  arena.trim();
  arena.trim();
  CHECK(arena.resident_chunks() == 1);  // MADV_DONTNEED refuses locked pages
  REQUIRE(::syscall(SYS_munlock, arena.data(0), std::size_t{4096}) == 0);
  arena.trim();
  CHECK(arena.resident_chunks() == 0);
}

TEST_CASE("bytes written into prepared room are read back in order") {
  StateRegion region(64 * kMiB, 100, make_plain_memory);
  BlockArena& arena = region.arena();
  Queue queue{arena, {}, 0, 0, {}, {}};
  Random random(1);
  queue.read_some(random, 10000, 10000);
  queue.check_against_model(0);
  CHECK(queue.bytes.blocks == 3);
  CHECK(arena.in_use() == 3);
}

TEST_CASE("unused prepared room goes back at once") {
  StateRegion region(64 * kMiB, 100, make_plain_memory);
  BlockArena& arena = region.arena();
  Queue queue{arena, {}, 0, 0, {}, {}};
  Random random(1);
  queue.read_some(random, 16384, 0);
  CHECK(arena.in_use() == 0);
  CHECK(queue.bytes.head == kNoBlock);
  queue.read_some(random, 16384, 1);
  CHECK(arena.in_use() == 1);
  queue.read_some(random, 16384, 0);
  CHECK(arena.in_use() == 1);
  queue.check_against_model(0);
}

TEST_CASE("room in the last block is filled before a new block is taken") {
  StateRegion region(64 * kMiB, 100, make_plain_memory);
  BlockArena& arena = region.arena();
  Queue queue{arena, {}, 0, 0, {}, {}};
  Random random(1);
  queue.append_some(random, 100);
  queue.read_some(random, tuning::kBlockSize - 100, tuning::kBlockSize - 100);
  CHECK(queue.bytes.blocks == 1);
  queue.append_some(random, 1);
  CHECK(queue.bytes.blocks == 2);
  queue.check_against_model(0);
}

TEST_CASE("an empty queue holds no block") {
  StateRegion region(64 * kMiB, 100, make_plain_memory);
  BlockArena& arena = region.arena();
  Queue queue{arena, {}, 0, 0, {}, {}};
  Random random(1);
  queue.append_some(random, 5);
  queue.release(4);
  CHECK(arena.in_use() == 1);
  queue.release(1);
  CHECK(arena.in_use() == 0);
  CHECK(queue.bytes.tail == kNoBlock);
}

TEST_CASE("a block that a gather refers to is not given back") {
  StateRegion region(64 * kMiB, 100, make_plain_memory);
  BlockArena& arena = region.arena();
  Queue queue{arena, {}, 0, 0, {}, {}};
  Random random(1);
  queue.append_some(random, 2 * tuning::kBlockSize);
  BlockIndex first = queue.bytes.head;
  arena.info(first).pinned = 1;
  release_all(arena, queue.bytes, queue.pinned);
  CHECK(queue.pinned == std::vector<BlockIndex>{first});
  CHECK(arena.in_use() == 1);
  BlockIndex other = arena.allocate(2, 0);
  CHECK(other != first);
}

TEST_CASE("a block handed out again has a new generation and describes itself") {
  StateRegion region(64 * kMiB, 100, make_plain_memory);
  BlockArena& arena = region.arena();
  BlockIndex block = arena.allocate(7, 4096);
  CHECK(arena.info(block).stream == 7);
  CHECK(arena.info(block).offset == 4096);
  std::uint32_t generation = arena.info(block).generation;
  arena.release(block);
  CHECK(arena.info(block).stream == 0);
  CHECK(arena.allocate(8, 0) == block);
  CHECK(arena.info(block).generation == generation + 1);
  CHECK(arena.info(block).used == 0);
}

TEST_CASE("blocks of a large arena do not overlap") {
  StateRegion region(64 * kMiB, 100, make_plain_memory);
  BlockArena& arena = region.arena();
  std::vector<BlockIndex> blocks;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    blocks.push_back(arena.allocate(1, 0));
    std::memset(arena.data(blocks.back()), static_cast<int>(i % 251), tuning::kBlockSize);
  }
  for (std::uint32_t i = 0; i < 1000; ++i) {
    const std::uint8_t* data = arena.data(blocks[i]);
    REQUIRE(data[0] == i % 251);
    REQUIRE(data[tuning::kBlockSize - 1] == i % 251);
  }
}

TEST_CASE("queues agree with a plain model under seeded random use") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    StateRegion region(64 * kMiB, 100, make_plain_memory);
    BlockArena& arena = region.arena();
    std::vector<Queue> queues(3, Queue{arena, {}, 0, 0, {}, {}});
    for (int step = 0; step < 250; ++step) {
      Queue& queue = queues[random.below(queues.size())];
      std::size_t size = random.one_in(3) ? random.below(20000) : random.below(300);
      switch (random.below(5)) {
        case 0:
          queue.append_some(random, size);
          break;
        case 1:
          queue.read_some(random, size, random.below(size + 1));
          break;
        case 2:
          queue.read_some(random, size, size);
          break;
        case 3:
          queue.release(random.below(queue.model.size() + 1));
          break;
        default:
          queue.release(random.one_in(4) ? queue.model.size() : 0);
      }
      queue.check_against_model(queue.begin + random.below(queue.model.size() + 1));
      std::size_t blocks = 0;
      for (const Queue& each : queues) blocks += each.bytes.blocks;
      REQUIRE(arena.in_use() == blocks);
      // Every block but the last is full, so a queue never wastes more than two blocks.
      REQUIRE(queue.bytes.blocks <= queue.model.size() / tuning::kBlockSize + 2);
      if (queue.model.empty()) REQUIRE(queue.bytes.blocks == 0);
    }
    for (Queue& queue : queues) queue.release(queue.model.size());
    REQUIRE(arena.in_use() == 0);
  }
}

TEST_CASE("memory that a burst left behind goes back once it was left alone") {
  StateRegion region(64 * kMiB, 100, make_plain_memory);
  BlockArena& arena = region.arena();
  std::vector<BlockIndex> blocks;
  for (int i = 0; i < 1000; ++i) {
    blocks.push_back(arena.allocate(1, 0));
    std::memset(arena.data(blocks.back()), 1, tuning::kBlockSize);
  }
  BlockIndex kept = blocks.front();
  for (BlockIndex block : blocks) {
    if (block != kept) arena.release(block);
  }
  CHECK(arena.resident_chunks() == 4);
  arena.trim();  // used since the last call: stays
  CHECK(arena.resident_chunks() == 4);
  arena.trim();
  CHECK(arena.resident_chunks() == 1);  // the one with a block in use
  CHECK(arena.data(kept)[0] == 1);
  CHECK(arena.data(arena.allocate(2, 0)) != nullptr);
}

}  // namespace holdfast
