#include "common/log/rate_limiter.h"

namespace holdfast {

std::optional<std::uint64_t> RateLimiter::admit(std::string_view key, Time now) {
  auto found = entries_.find(key);
  if (found == entries_.end()) found = entries_.emplace(key, Entry{now, 0, 0}).first;
  Entry& entry = found->second;
  if (now - entry.began >= interval_) {
    entry.began = now;
    entry.admitted = 0;
  }
  if (entry.admitted >= events_) {
    ++entry.suppressed;
    return std::nullopt;
  }
  ++entry.admitted;
  return std::exchange(entry.suppressed, 0);
}

std::vector<std::pair<std::string, std::uint64_t>> RateLimiter::take_suppressed(Time now) {
  std::vector<std::pair<std::string, std::uint64_t>> out;
  for (auto& [key, entry] : entries_) {
    if (entry.suppressed > 0 && now - entry.began >= interval_) {
      out.emplace_back(key, std::exchange(entry.suppressed, 0));
    }
  }
  return out;
}

}  // namespace holdfast
