// How long the turns of a loop took, without the waiting: counts by bucket, and sums.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "common/base/time.h"

namespace holdfast {

struct TurnHistogram {
  // Upper bounds. 5 ms is what looking at an agent may take at most; above 100 ms people notice.
  static constexpr std::array<Duration, 9> kBounds = {
      microseconds(100), microseconds(500), milliseconds(1),   milliseconds(2),   milliseconds(5),
      milliseconds(10),  milliseconds(50),  milliseconds(100), milliseconds(1000)};

  std::array<std::uint64_t, kBounds.size() + 1> counts{};  // the last one: longer than all bounds
  std::uint64_t turns = 0;
  Duration busy{};
  Duration longest{};

  void add(Duration turn) {
    std::size_t bucket = 0;
    while (bucket < kBounds.size() && turn > kBounds[bucket]) ++bucket;
    counts[bucket] += 1;
    turns += 1;
    busy += turn;
    if (turn > longest) longest = turn;
  }

  TurnHistogram& operator+=(const TurnHistogram& other) {
    for (std::size_t bucket = 0; bucket < counts.size(); ++bucket) {
      counts[bucket] += other.counts[bucket];
    }
    turns += other.turns;
    busy += other.busy;
    longest = std::max(longest, other.longest);
    return *this;
  }
};

}  // namespace holdfast
