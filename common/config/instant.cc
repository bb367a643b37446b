#include "common/config/instant.h"

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>

namespace holdfast {
namespace {

// By the calendar of <chrono>, not by time_t: that has 32 bits on some hosts, and ends in 2038.
using std::chrono::days;
using std::chrono::hh_mm_ss;
using std::chrono::sys_days;
using std::chrono::sys_seconds;
using std::chrono::year_month_day;

constexpr std::int64_t kDay = 24 * 3600;

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
  auto [year, month, day, hour, minute, second] = numbers;
  year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                      std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return refused;
  sys_seconds time = sys_days{date} + std::chrono::hours{hour} + std::chrono::minutes{minute} +
                     std::chrono::seconds{second};
  return Instant{time.time_since_epoch().count()};
}

std::string to_string(const Instant& instant) {
  sys_seconds time{std::chrono::seconds{instant.epoch_s}};
  sys_days midnight = std::chrono::floor<days>(time);
  year_month_day date{midnight};
  hh_mm_ss clock{time - midnight};
  std::array<char, 64> text{};
  int size = std::snprintf(
      text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()));
  std::string whole(text.data(), static_cast<std::size_t>(size));
  return instant.epoch_s % kDay == 0 ? whole.substr(0, whole.find('T')) : whole;
}

Instant wall_clock_now() {
  return {static_cast<std::int64_t>(std::time(nullptr))};
}

}  // namespace holdfast
