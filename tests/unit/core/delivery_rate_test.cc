#include "common/core/delivery_rate.h"

#include "common/core/tuning.h"
#include "tests/catch.h"

namespace holdfast {
namespace {

constexpr std::size_t kMost = tuning::kMaxGather;

PathReport path_of(std::uint64_t acked, std::uint64_t queued,
                   Duration round_trip = milliseconds(50)) {
  PathReport path;
  path.acked = acked;
  path.queued = queued;
  path.segment = 1448;
  path.least_round_trip = round_trip;
  return path;
}

// So many bytes a second for a while, with a backlog all the time.
DeliveryRate after(std::uint64_t bytes_s, Duration step = milliseconds(10)) {
  DeliveryRate rate;
  for (Duration at{}; at < seconds(3); at += step) {
    auto acked = bytes_s * static_cast<std::uint64_t>(at.count()) / 1'000'000;
    rate.report(Time(at), path_of(acked, 100000));
  }
  return rate;
}

}  // namespace

TEST_CASE("some 25 ms of what the path takes may wait") {
  struct Row {
    std::uint64_t bytes_s;
    std::size_t least, most;
  };
  const Row rows[] = {{8'000, 1300, 1448},          // 64 kbit/s: a segment with its headers
                      {250'000, 6000, 6600},        // 2 Mbit/s
                      {1'250'000, 30'000, 33'000},  // 10 Mbit/s
                      {100'000'000, kMost, kMost}};
  for (const Row& row : rows) {
    INFO(row.bytes_s);
    std::size_t wait = after(row.bytes_s).may_wait(kMost);
    CHECK(wait >= row.least);
    CHECK(wait <= row.most);
  }
}

TEST_CASE("before the rate is known a few segments may wait, on a quick path as much as ever") {
  DeliveryRate rate;
  rate.report(Time{}, path_of(0, 100000));
  CHECK(rate.may_wait(kMost) == 4 * 1448);
  rate.report(Time(milliseconds(1)), path_of(200000, 100000, milliseconds(1)));
  CHECK(rate.may_wait(kMost) == kMost);
}

TEST_CASE("what waits takes as long as the path needs for it, once its rate is known") {
  CHECK(DeliveryRate().time_of(100000) == Duration{});
  Duration time = after(250'000).time_of(5000);
  CHECK(time >= milliseconds(18));
  CHECK(time <= milliseconds(22));
}

TEST_CASE("nothing is learnt while the application, not the path, sets the pace") {
  DeliveryRate rate = after(10'000'000);
  std::uint64_t before = rate.bytes_s();
  std::uint64_t acked = 100'000'000;
  for (int i = 0; i < 100; ++i) {
    acked += 1000;
    rate.report(Time(seconds(3) + milliseconds(50) * i), path_of(acked, 0));
  }
  CHECK(rate.bytes_s() == before);
}

TEST_CASE("a path that gets faster is known at once, one that gets slower by and by") {
  DeliveryRate rate = after(100'000);
  Time now(seconds(3));
  std::uint64_t acked = 1'000'000;
  auto run = [&](std::uint64_t bytes_s, Duration time) {
    for (Time end = now + time; now < end; now += milliseconds(10)) {
      acked += bytes_s / 100;
      rate.report(now, path_of(acked, 100000));
    }
  };
  run(1'000'000, milliseconds(500));
  CHECK(rate.bytes_s() > 900'000);
  run(100'000, milliseconds(250));
  CHECK(rate.bytes_s() > 500'000);
  run(100'000, seconds(4));
  CHECK(rate.bytes_s() < 120'000);
}

}  // namespace holdfast
