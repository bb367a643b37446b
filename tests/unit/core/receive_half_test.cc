#include "common/core/receive_half.h"

#include "common/base/random.h"
#include "tests/catch.h"
#include "tests/unit/core/half_fixture.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kStream = 7;

ReceiveHalf opened(std::uint64_t window = 64 * kKiB, std::uint64_t granted = tuning::kFloor) {
  ReceiveHalf half;
  half.open(window, granted);
  return half;
}

void arrive(HalfFixture& memory, ReceiveHalf& half, const std::string& text) {
  std::uint64_t offset = half.arrive(text.size());
  half.keep(memory.receive, kStream, offset, bytes_of(text));
}

std::string waiting(HalfFixture& memory, const ReceiveHalf& half) {
  iovec buffers[64];
  std::size_t count = half.view(memory.pool.arena, buffers);
  return text_of({buffers, count});
}

}  // namespace

TEST_CASE("what arrives waits until it is delivered") {
  HalfFixture memory;
  ReceiveHalf half = opened();
  arrive(memory, half, "hello, ");
  arrive(memory, half, "world");
  CHECK(half.queued_bytes() == 12);
  CHECK(waiting(memory, half) == "hello, world");
  half.deliver(memory.receive, 7);
  CHECK(waiting(memory, half) == "world");
  CHECK_FALSE(half.ack_is_out());
  half.announce();
  CHECK(half.ack_written() == 7);
  half.deliver(memory.receive, 5);
  CHECK(half.all_delivered());
  CHECK(memory.pool.arena.in_use() == 0);
}

TEST_CASE("credit is the floor, the window and what memory allows, and never shrinks") {
  HalfFixture memory;
  ReceiveHalf half = opened(64 * kKiB);
  CHECK(half.limit() == tuning::kFloor);
  half.raise_limit(memory.receive);
  CHECK(half.limit() == 64 * kKiB);
  CHECK(half.credit_left() == tuning::kFloor);
  half.announce();
  CHECK(half.credit_left() == 64 * kKiB);
  half.shrink_window(8 * kKiB);
  half.raise_limit(memory.receive);
  CHECK(half.limit() == 64 * kKiB);
  CHECK(memory.pool.receive.used() == 60 * kKiB);
  half.release(memory.receive);
  CHECK(memory.pool.receive.used() == 0);
}

TEST_CASE("marks are told of once, when all before them is delivered, and delivered in order") {
  HalfFixture memory;
  ReceiveHalf half = opened();
  arrive(memory, half, "ab");
  half.arrive_fin(memory.receive);
  CHECK(half.tell_end() == EndMark::none);
  half.deliver(memory.receive, 2);
  CHECK(half.tell_end() == EndMark::fin);
  CHECK(half.tell_end() == EndMark::none);
  CHECK_FALSE(half.fin_delivered());
  half.arrive_abort(memory.receive);
  CHECK(half.end() == EndMark::fin_then_abort);
  CHECK(half.tell_end() == EndMark::none);
  half.deliver_mark();
  CHECK(half.fin_delivered());
  CHECK(half.tell_end() == EndMark::abort);
  CHECK(half.tell_end() == EndMark::none);
  half.deliver_mark();
  CHECK(half.abort_delivered());
  CHECK(half.received_bytes() == 2);
}

TEST_CASE("after a mark only what waits is charged, and no more is granted") {
  HalfFixture memory;
  ReceiveHalf half = opened();
  half.raise_limit(memory.receive);
  half.announce();
  CHECK(memory.pool.receive.used() == 60 * kKiB);
  arrive(memory, half, std::string(12 * kKiB, 'x'));
  half.arrive_fin(memory.receive);
  CHECK(memory.pool.receive.used() == 8 * kKiB);
  half.deliver(memory.receive, 12 * kKiB);
  CHECK(memory.pool.receive.used() == 0);
  std::uint64_t limit = half.limit();
  half.raise_limit(memory.receive);
  CHECK(half.limit() == limit);
}

TEST_CASE("a half whose application is gone keeps nothing and takes everything") {
  HalfFixture memory;
  ReceiveHalf half = opened();
  half.raise_limit(memory.receive);
  arrive(memory, half, "abc");
  half.discard(memory.receive);
  CHECK(half.discarding());
  CHECK(half.limit() == kMaxLimit);
  CHECK(half.tell_end() == EndMark::none);
  half.announce();
  CHECK(half.limit_written() == kMaxLimit);
  half.check_queue(memory.pool.arena, 0);
  CHECK(memory.pool.receive.used() == 0);
  CHECK(memory.pool.arena.in_use() == 0);
}

TEST_CASE("a window grows with what a round trip brings, and not while a queue waits") {
  HalfFixture memory;
  Time now = Time(seconds(1));
  Duration round_trip = milliseconds(10);
  ReceiveHalf half = opened(8 * kKiB, kMaxLimit / 2);
  half.grow_window(now, round_trip, 1 * kMiB);
  half.arrive(8 * kKiB);
  half.deliver(memory.receive, 8 * kKiB);
  half.grow_window(now + round_trip / 2, round_trip, 1 * kMiB);
  CHECK(half.window() == 8 * kKiB);
  half.grow_window(now + round_trip, round_trip, 1 * kMiB);
  CHECK(half.window() == 16 * kKiB);
  half.grow_window(now + 2 * round_trip, round_trip, 1 * kMiB);
  CHECK(half.window() == 16 * kKiB);
  half.arrive(16 * kKiB);
  half.deliver(memory.receive, 16 * kKiB);
  half.grow_window(now + 3 * round_trip, round_trip, 20 * kKiB);
  CHECK(half.window() == 20 * kKiB);
  arrive(memory, half, "it waits");
  half.arrive(0);
  half.grow_window(now + 9 * round_trip, round_trip, 1 * kMiB);
  CHECK(half.window() == 20 * kKiB);
}

TEST_CASE("a receiving half agrees with a model of plain bytes under seeded random use") {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    HalfFixture memory(2 * kMiB);
    ReceiveHalf half = opened();
    std::string model;  // all that came
    for (int step = 0; step < 200; ++step) {
      switch (random.below(4)) {
        case 0:
          if (half.credit_left() != 0) {
            std::string more(1 + random.below(half.credit_left()), '\0');
            for (char& each : more) each = static_cast<char>(random.next());
            arrive(memory, half, more);
            model += more;
          }
          break;
        case 1:
          if (half.queued_bytes() != 0) {
            iovec buffers[4];
            std::size_t count = half.view(memory.pool.arena, buffers);
            std::string seen = text_of({buffers, count});
            std::size_t size = 1 + random.below(seen.size());
            REQUIRE(seen.substr(0, size) == model.substr(half.delivered(), size));
            half.deliver(memory.receive, size);
          }
          break;
        case 2:
          half.raise_limit(memory.receive);
          break;
        case 3:
          half.announce();
          break;
      }
      half.check_queue(memory.pool.arena, 0);
      REQUIRE(half.queued_bytes() == model.size() - half.delivered());
    }
    half.discard(memory.receive);
    REQUIRE(memory.pool.arena.in_use() == 0);
    REQUIRE(memory.pool.receive.used() == 0);
  }
}

}  // namespace holdfast
