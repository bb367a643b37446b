// Pings: the PINGs of one carrier. A token is the sender's clock in microseconds, so the PONG that
// returns it gives the round trip. The PONG of any of them answers the question whether our bytes
// get through.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "common/base/time.h"
#include "common/core/tuning.h"

namespace holdfast {

class Pings {
 public:
  // The token of one that is sent now.
  std::uint64_t send(Time now) {
    last_ = static_cast<std::uint64_t>(now.time_since_epoch().count());
    if (!first_) first_ = last_;
    waiting_ = true;
    next_measure_ = now + tuning::kMeasureEvery;
    return last_;
  }
  // The round trip; nothing for a token that none of this carrier's can have had.
  std::optional<Duration> answer(Time now, std::uint64_t token) {
    if (!first_ || token < *first_ || token > last_) return std::nullopt;
    if (token == last_) waiting_ = false;
    return std::max(Duration(1), now - Time(Duration(static_cast<std::int64_t>(token))));
  }
  // How long the last one has waited for its answer; zero: it has it, or there is none.
  Duration waiting(Time now) const {
    if (!waiting_) return {};
    return now - Time(Duration(static_cast<std::int64_t>(last_)));
  }
  // While bytes flow: one at a time, and not too often; `rest` later where little depends on it.
  bool measure_due(Time now, Duration rest = {}) const {
    return !waiting_ && now >= next_measure_ + rest;
  }

 private:
  std::optional<std::uint64_t> first_;
  std::uint64_t last_ = 0;
  bool waiting_ = false;  // the last one has not been answered
  Time next_measure_{};
};

}  // namespace holdfast
