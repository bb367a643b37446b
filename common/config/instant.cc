#include "common/config/instant.h"

#include <array>
#include <cstdio>
#include <ctime>

namespace holdfast {
namespace {

constexpr std::int64_t kDay = 24 * 3600;

std::tm parts_of(std::int64_t epoch_s) {
  std::time_t at = epoch_s;
  std::tm parts{};
  ::gmtime_r(&at, &parts);
  return parts;
}

}  // namespace

Result<Instant> parse_instant(std::string_view text) {
  Error refused{"\"" + std::string(text) +
                "\" is no date; write \"2026-12-31\" or \"2026-12-31T18:00:00Z\" (UTC)"};
  std::string form = text.size() == 10 ? "dddd-dd-dd" : "dddd-dd-ddTdd:dd:ddZ";
  if (text.size() != form.size()) return refused;
  std::array<int, 6> numbers{};
  std::size_t field = 0;
  for (std::size_t i = 0; i < form.size(); ++i) {
    bool digit = text[i] >= '0' && text[i] <= '9';
    if (form[i] != 'd') {
      if (text[i] != form[i]) return refused;
      if (field + 1 < numbers.size()) ++field;
    } else {
      if (!digit) return refused;
      numbers[field] = numbers[field] * 10 + (text[i] - '0');
    }
  }
  std::tm parts{};
  parts.tm_year = numbers[0] - 1900;
  parts.tm_mon = numbers[1] - 1;
  parts.tm_mday = numbers[2];
  parts.tm_hour = numbers[3];
  parts.tm_min = numbers[4];
  parts.tm_sec = numbers[5];
  Instant instant{static_cast<std::int64_t>(::timegm(&parts))};
  // What timegm() made of the 31st of February is another day.
  std::string back = to_string(instant);
  bool same = text.size() == 10 ? back == text : back == text || back + "T00:00:00Z" == text;
  return same ? Result<Instant>(instant) : Result<Instant>(refused);
}

std::string to_string(const Instant& instant) {
  std::tm parts = parts_of(instant.epoch_s);
  std::array<char, 64> text{};
  const char* form = instant.epoch_s % kDay == 0 ? "%Y-%m-%d" : "%Y-%m-%dT%H:%M:%SZ";
  std::strftime(text.data(), text.size(), form, &parts);
  return text.data();
}

Instant wall_clock_now() {
  return {static_cast<std::int64_t>(std::time(nullptr))};
}

}  // namespace holdfast
