// A point in time as a config writes it: "2026-12-31" (its first moment, UTC) or
// "2026-12-31T18:00:00Z".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace holdfast {

struct Instant {
  std::int64_t epoch_s = 0;
  bool operator==(const Instant&) const = default;
};

// The error says how to write it. A day that there is not is refused.
Result<Instant> parse_instant(std::string_view text);
std::string to_string(const Instant& instant);  // with its time, or the day alone at its beginning

// By the host's clock.
Instant wall_clock_now();

}  // namespace holdfast
