// What the links of one client have together.
#include "server-agent/shared_client.h"

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

TEST_CASE("the links of one client, on several loops, have one cap together") {
  SharedClient client;
  client.send().allow(1 * kMiB);
  MemoryHalf here(64 * kMiB), there(64 * kMiB);
  LinkShare one{0, 1 * kMiB, &client.send()}, other{0, 1 * kMiB, &client.send()};
  std::uint64_t held = grow_all_it_can(here, one, 0);
  for (int i = 0; i < 10; ++i) grow_all_it_can(there, other, 0);
  CHECK(client.send().used() == one.used + other.used);
  CHECK(client.send().used() <= 1 * kMiB);
  CHECK(client.send().room() < tuning::kBlockSize);
  CHECK(client.receive().used() == 0);
  // What one gives back the other may take.
  here.change(held, 0, one);
  CHECK(grow_all_it_can(there, other, 0) >= held);
  // A lower cap takes nothing away, and lets nothing more be taken.
  client.send().allow(0);
  CHECK(client.send().room() == 0);
  CHECK(here.allowance(0, one) == 0);
}

TEST_CASE("the streams of a client's links are counted together") {
  SharedClient client;
  CHECK(client.take_stream());
  client.allow_streams(2);
  CHECK(client.take_stream());
  CHECK_FALSE(client.take_stream());
  client.give_back_stream();
  CHECK(client.take_stream());
}

}  // namespace
}  // namespace holdfast
