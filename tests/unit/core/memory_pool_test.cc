#include "common/core/memory_pool.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

// Grows one stream block by block until it is refused more; gives what it holds then.
std::uint64_t grow_all_it_can(MemoryHalf& half, LinkShare& link, std::uint64_t held) {
  while (half.allowance(held, link) >= held + tuning::kBlockSize) {
    half.change(held, held + tuning::kBlockSize, link);
    held += tuning::kBlockSize;
  }
  return held;
}

}  // namespace

TEST_CASE("streams that grew and stalled leave room for the next one") {
  MemoryHalf half(64 * kMiB);
  std::vector<LinkShare> links(20);
  std::uint64_t least = UINT64_MAX;
  for (LinkShare& link : links) {
    std::uint64_t held = grow_all_it_can(half, link, 0);
    CHECK(held < 64 * kMiB / tuning::kStreamShare);
    least = std::min(least, held);
    REQUIRE(half.used() <= 64 * kMiB);
  }
  CHECK(least > 0);
  CHECK(half.free() > 0);
}

TEST_CASE("two hundred stalled streams of one link still leave a new one some memory") {
  MemoryHalf half(32 * kMiB);
  LinkShare link;
  for (int i = 0; i < 200; ++i) grow_all_it_can(half, link, 0);
  CHECK(half.free() >= 4 * tuning::kBlockSize);
  CHECK(half.used() <= 32 * kMiB);
}

TEST_CASE("one link cannot take all from the others") {
  MemoryHalf half(64 * kMiB);
  LinkShare greedy;
  for (int i = 0; i < 1000; ++i) grow_all_it_can(half, greedy, 0);
  LinkShare other;
  CHECK(grow_all_it_can(half, other, 0) >= 1 * kMiB);
}

TEST_CASE("a link's configured cap holds whatever is free") {
  MemoryHalf half(64 * kMiB);
  LinkShare link{0, 1 * kMiB};
  for (int i = 0; i < 10; ++i) grow_all_it_can(half, link, 0);
  CHECK(link.used <= 1 * kMiB);
}

TEST_CASE("what a stream holds is never taken from it") {
  MemoryHalf half(1 * kMiB);
  LinkShare link;
  std::uint64_t held = grow_all_it_can(half, link, 0);
  LinkShare other;
  for (int i = 0; i < 50; ++i) grow_all_it_can(half, other, 0);
  CHECK(half.allowance(held, link) >= held);
}

TEST_CASE("memory given back is free again") {
  MemoryHalf half(1 * kMiB);
  LinkShare link;
  half.change(0, 100 * tuning::kBlockSize, link);
  half.change(100 * tuning::kBlockSize, 0, link);
  CHECK(half.used() == 0);
  CHECK(link.used == 0);
}

TEST_CASE("the floors of all streams are set apart from what is shared") {
  MemoryPool pool(64 * kMiB, 1000);
  CHECK(pool.send.free() == 32 * kMiB - 1000 * MemoryPool::kStreamFloor);
  CHECK(pool.receive.free() == pool.send.free());
}

TEST_CASE("where the floors alone do not fit nothing is shared and the number still holds") {
  MemoryPool pool(1 * kMiB, 1000);
  CHECK(pool.send.free() == 0);
  LinkShare link;
  CHECK(pool.send.allowance(0, link) == 0);
  for (int i = 0; i < 1000; ++i) REQUIRE(pool.admit());
  CHECK_FALSE(pool.admit());
  pool.leave();
  CHECK(pool.admit());
}

}  // namespace holdfast
