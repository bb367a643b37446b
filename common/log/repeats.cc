#include "common/log/repeats.h"

#include <algorithm>
#include <utility>

namespace holdfast {
namespace {

constexpr Duration kInterval = seconds(60);
constexpr std::size_t kMostLines = 64;

}  // namespace

std::optional<std::uint64_t> Repeats::admit(std::string_view line, Time now) {
  auto found = entries_.find(line);
  if (found == entries_.end()) {
    if (entries_.size() == kMostLines) {
      entries_.erase(std::min_element(
          entries_.begin(), entries_.end(),
          [](const auto& one, const auto& other) { return one.second.told < other.second.told; }));
    }
    entries_.emplace(line, Entry{now, 0});
    return 1;
  }
  Entry& entry = found->second;
  entry.times += 1;
  if (now - entry.told < kInterval) return std::nullopt;
  entry.told = now;
  return std::exchange(entry.times, 0);
}

}  // namespace holdfast
