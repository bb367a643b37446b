#include "common/log/units_text.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

namespace holdfast {

std::string show_duration(Duration duration) {
  char text[48];
  std::int64_t us = std::max<std::int64_t>(duration.count(), 0);
  std::int64_t s = us / 1000000;
  if (us == 0) return "0s";
  if (us < 100000) {
    std::snprintf(text, sizeof text, "%.1fms", static_cast<double>(us) / 1e3);
  } else if (s < 10) {
    std::int64_t tenths = us / 100000;  // cut off, not rounded
    std::snprintf(text, sizeof text, "%.1fs", static_cast<double>(tenths) / 10);
  } else if (s < 60) {
    std::snprintf(text, sizeof text, "%" PRId64 "s", s);
  } else if (s < 3600) {
    std::snprintf(text, sizeof text, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
  } else if (s < 86400) {
    std::snprintf(text, sizeof text, "%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
  } else {
    std::snprintf(text, sizeof text, "%" PRId64 "d%" PRId64 "h", s / 86400, s / 3600 % 24);
  }
  return text;
}

std::string show_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " B";
  static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double amount = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  // 1023.95 would be shown as 1024.0.
  while (amount >= 1023.95 && unit < 5) {
    amount /= 1024;
    ++unit;
  }
  char text[48];
  std::snprintf(text, sizeof text, "%.1f %s", amount, kUnits[unit]);
  return text;
}

}  // namespace holdfast
