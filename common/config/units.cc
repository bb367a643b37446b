#include "common/config/units.h"

#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <span>

namespace holdfast {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Smallest first.
constexpr std::array<Unit, 5> kDurationUnits = {{
    {"ms", 1},
    {"s", 1000},
    {"m", 60'000},
    {"h", 3'600'000},
    {"d", 86'400'000},
}};
constexpr std::array<Unit, 5> kSizeUnits = {{
    {"B", 1},
    {"KiB", std::uint64_t{1} << 10},
    {"MiB", std::uint64_t{1} << 20},
    {"GiB", std::uint64_t{1} << 30},
    {"TiB", std::uint64_t{1} << 40},
}};

// What the two kinds differ in when they complain.
struct Quantity {
  std::span<const Unit> units;
  std::string_view noun;
  std::string_view unit_list;
  std::string_view usual_unit;  // offered where the unit is missing
};
constexpr Quantity kDuration = {kDurationUnits, "duration", "ms, s, m, h or d", "s"};
constexpr Quantity kSize = {kSizeUnits, "size", "B, KiB, MiB, GiB or TiB", "MiB"};

std::string quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

std::string example(std::string_view digits, std::string_view unit) {
  return "write \"" + std::string(digits) + std::string(unit) + "\"";
}

// The unit that somebody probably meant; empty when there is no guess.
std::string_view guess_unit(const Quantity& kind, std::string_view written) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  const auto same = [&](std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (lower(a[i]) != lower(b[i])) return false;
    }
    return true;
  };
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 16> kMeant = {{
      {"sec", "s"},
      {"secs", "s"},
      {"second", "s"},
      {"seconds", "s"},
      {"min", "m"},
      {"mins", "m"},
      {"minutes", "m"},
      {"hours", "h"},
      {"days", "d"},
      {"msec", "ms"},
      {"k", "KiB"},
      {"kb", "KiB"},
      {"mb", "MiB"},
      {"gb", "GiB"},
      {"g", "GiB"},
      {"tb", "TiB"},
  }};
  for (const Unit& unit : kind.units) {
    if (same(unit.name, written)) return unit.name;
  }
  for (const auto& [wrong, right] : kMeant) {
    if (!same(wrong, written)) continue;
    for (const Unit& unit : kind.units) {
      if (unit.name == right) return right;
    }
  }
  return same("m", written) ? std::string_view("MiB") : std::string_view();
}

Error unknown_unit(const Quantity& kind, std::string_view text, std::string_view digits,
                   std::string_view written) {
  const std::string_view guess = guess_unit(kind, written);
  const std::string hint =
      guess.empty() ? "use " + std::string(kind.unit_list) : example(digits, guess);
  return Error{quoted(text) + " has the unknown unit " + quoted(written) + "; " + hint};
}

Result<std::uint64_t> parse_quantity(const Quantity& kind, std::string_view text) {
  std::uint64_t count = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, failure] = std::from_chars(text.data(), end, count);
  if (failure == std::errc::invalid_argument) {
    return Error{quoted(text) + " is not a " + std::string(kind.noun) +
                 "; write a whole number and a unit (" + std::string(kind.unit_list) + ")"};
  }
  const std::string_view digits(text.data(), static_cast<std::size_t>(rest - text.data()));
  const std::string_view unit = text.substr(digits.size());
  if (unit.empty()) {
    return Error{quoted(text) + " has no unit; " + example(digits, kind.usual_unit)};
  }
  if (unit.front() == '.' || unit.front() == ',') {
    return Error{quoted(text) + " is not a whole number; use a smaller unit"};
  }
  if (unit.front() == ' ') {
    return Error{quoted(text) + " has a space before its unit; write them together"};
  }
  for (const Unit& known : kind.units) {
    if (known.name != unit) continue;
    // Leaves room for microseconds in a signed 64-bit count.
    constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max() / 1000;
    if (failure == std::errc::result_out_of_range || count > kMost / known.factor) {
      return Error{quoted(text) + " is too large"};
    }
    return count * known.factor;
  }
  return unknown_unit(kind, text, digits, unit);
}

std::string format_quantity(const Quantity& kind, std::uint64_t value) {
  const Unit* best = &kind.units.front();
  for (const Unit& unit : kind.units) {
    if (value != 0 && value % unit.factor == 0) best = &unit;
  }
  return std::to_string(value / best->factor) + std::string(best->name);
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  const Result<std::uint64_t> parsed = parse_quantity(kDuration, text);
  if (!parsed.ok()) return parsed.error();
  return Duration(milliseconds(static_cast<std::int64_t>(*parsed)));
}

Result<std::uint64_t> parse_size(std::string_view text) {
  return parse_quantity(kSize, text);
}

std::string format_duration(Duration duration) {
  return format_quantity(kDuration,
                         static_cast<std::uint64_t>(duration_cast<milliseconds>(duration).count()));
}

std::string format_size(std::uint64_t bytes) {
  return format_quantity(kSize, bytes);
}

}  // namespace holdfast
