// RateLimiter: at most so many events of a kind in an interval; the others are counted.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/time.h"

namespace holdfast {

class RateLimiter {
 public:
  RateLimiter(std::uint64_t events, Duration interval) : events_(events), interval_(interval) {}

  // Absent: not this one. Else how many were kept back since the last that was let through.
  // Remembers every key it ever saw: keys are ours or the configuration's, not a stranger's.
  std::optional<std::uint64_t> admit(std::string_view key, Time now);

  // From now on.
  void set_events(std::uint64_t events) { events_ = events; }

  // Keys whose interval is over and that still owe a count, with it; settles them.
  std::vector<std::pair<std::string, std::uint64_t>> take_suppressed(Time now);

 private:
  struct Entry {
    Time began{};
    std::uint64_t admitted = 0;
    std::uint64_t suppressed = 0;
  };

  std::uint64_t events_;
  Duration interval_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace holdfast
