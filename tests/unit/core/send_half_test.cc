#include "common/core/send_half.h"

#include "common/base/random.h"
#include "tests/catch.h"
#include "tests/unit/core/half_fixture.h"

namespace holdfast {
namespace {

constexpr std::uint64_t kStream = 7;

// The application writes `text`.
void write(HalfFixture& memory, SendHalf& half, const std::string& text) {
  iovec buffers[64];
  std::size_t count = half.prepare(memory.send, kStream, text.size(), buffers);
  std::size_t at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::memcpy(buffers[i].iov_base, text.data() + at, buffers[i].iov_len);
    at += buffers[i].iov_len;
  }
  REQUIRE(at == text.size());
  half.commit(memory.send, text.size());
}

std::string take(HalfFixture& memory, SendHalf& half, std::size_t size) {
  std::string text;
  half.take(memory.pool.arena, size, [&](BlockIndex block, std::size_t skip, std::size_t piece) {
    text.append(reinterpret_cast<const char*>(memory.pool.arena.data(block)) + skip, piece);
  });
  return text;
}

}  // namespace

TEST_CASE("a sending half gives out what it was given, within the peer's limit") {
  HalfFixture memory;
  SendHalf half;
  write(memory, half, "hello, world");
  CHECK_FALSE(half.sendable());
  half.grant(5);
  CHECK(half.sendable());
  CHECK(half.ready_bytes() == 5);
  CHECK(take(memory, half, 5) == "hello");
  CHECK_FALSE(half.sendable());
  CHECK(half.unsent_bytes() == 7);
  half.grant(100);
  CHECK(take(memory, half, 7) == ", world");
  CHECK(half.unsent_bytes() == 0);
  CHECK(half.log_bytes() == 12);
}

TEST_CASE("marks follow the last byte, need no limit, and take an offset each") {
  HalfFixture memory;
  SendHalf half;
  write(memory, half, "abc");
  half.finish();
  CHECK(half.sequence_end() == 4);
  CHECK_FALSE(half.sendable());
  half.grant(3);
  take(memory, half, 3);
  CHECK(half.sendable());
  CHECK(half.fin_is_next());
  half.take_mark();
  CHECK(half.all_taken());
  half.abort();
  CHECK(half.end() == EndMark::fin_then_abort);
  CHECK_FALSE(half.all_taken());
  CHECK_FALSE(half.fin_is_next());
  half.take_mark();
  CHECK(half.next() == 5);
  half.ack(memory.send, 4);
  CHECK(half.fin_acked());
  CHECK_FALSE(half.abort_acked());
  half.ack(memory.send, 5);
  CHECK(half.abort_acked());
}

TEST_CASE("only what was taken for this carrier can be acked") {
  HalfFixture memory;
  SendHalf half;
  write(memory, half, "0123456789");
  half.grant(10);
  take(memory, half, 6);
  CHECK(half.takes_ack(0));
  CHECK(half.takes_ack(6));
  CHECK_FALSE(half.takes_ack(7));
  half.ack(memory.send, 4);
  CHECK_FALSE(half.takes_ack(3));
  CHECK_FALSE(half.takes_limit(9));
  CHECK_FALSE(half.takes_limit(kMaxLimit + 1));
  // Resumed: the peer has received 5, so 6 is not acked before it is sent again.
  CHECK(half.takes_position(4, 6));
  CHECK_FALSE(half.takes_position(4, 7));
  CHECK_FALSE(half.takes_position(3, 5));
  CHECK_FALSE(half.takes_position(6, 5));
  half.rewind(memory.send, 4, 5);
  CHECK_FALSE(half.takes_ack(6));
  CHECK(take(memory, half, 5) == "56789");
  CHECK(half.replayed() == 1);
}

TEST_CASE("a stream that the peer never heard of begins anew, without credit") {
  HalfFixture memory;
  SendHalf half;
  write(memory, half, "abc");
  half.grant(3);
  take(memory, half, 2);
  half.start_over();
  CHECK(half.next() == 0);
  CHECK_FALSE(half.sendable());
  half.grant(3);
  CHECK(take(memory, half, 3) == "abc");
}

TEST_CASE("another stream adopts bytes and end, and the charge for them") {
  HalfFixture memory;
  SendHalf old, fresh;
  write(memory, old, std::string(5 * tuning::kBlockSize, 'x'));
  old.finish();
  std::uint64_t charged = memory.pool.send.used();
  CHECK(charged != 0);
  fresh.adopt(memory.send, old);
  old.forget_log(memory.send);
  fresh.relabel(memory.pool.arena, 9);
  CHECK(memory.pool.send.used() == charged);
  CHECK(fresh.end() == EndMark::fin);
  fresh.check_log(memory.pool.arena);
  fresh.grant(kMaxLimit);
  CHECK(take(memory, fresh, 5 * tuning::kBlockSize) == std::string(5 * tuning::kBlockSize, 'x'));
  fresh.drop(memory.send);
  CHECK(memory.pool.send.used() == 0);
  CHECK(memory.pool.arena.in_use() == 0);
}

TEST_CASE("a sending half agrees with a model of plain bytes under seeded random use") {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    INFO("seed " << seed);
    Random random(seed);
    HalfFixture memory;
    SendHalf half;
    std::string model;
    std::uint64_t limit = 0;
    for (int step = 0; step < 200; ++step) {
      switch (random.below(5)) {
        case 0: {
          std::string more(1 + random.below(3 * tuning::kBlockSize), '\0');
          for (char& each : more) each = static_cast<char>(random.next());
          write(memory, half, more);
          model += more;
          break;
        }
        case 1:
          half.grant(limit += random.below(20000));
          break;
        case 2:
          if (half.ready_bytes() != 0) {
            std::uint64_t from = half.next();
            std::size_t size = 1 + random.below(half.ready_bytes());
            REQUIRE(take(memory, half, size) == model.substr(from, size));
          }
          break;
        case 3:
          half.ack(memory.send, half.acked() + random.below(half.next() - half.acked() + 1));
          break;
        case 4:
          if (random.below(4) == 0) {
            std::uint64_t received = half.acked() + random.below(half.sent() - half.acked() + 1);
            std::uint64_t delivered = half.acked() + random.below(received - half.acked() + 1);
            half.rewind(memory.send, delivered, received);
          }
          break;
      }
      half.check_log(memory.pool.arena);
      REQUIRE(half.committed() == model.size());
    }
    half.drop(memory.send);
    REQUIRE(memory.pool.arena.in_use() == 0);
    REQUIRE(memory.pool.send.used() == 0);
  }
}

}  // namespace holdfast
