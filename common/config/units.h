// Numbers with units, as config strings: "200ms", "30s", "5m", "1h", "7d"; "512B", "64KiB",
// "256MiB", "1GiB". Whole numbers, one unit, nothing between them. No decimal units: MB is refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/base/time.h"

namespace holdfast {

// Errors say what is wrong and how to write it: `"30" has no unit; write "30s"`.
Result<Duration> parse_duration(std::string_view text);
Result<std::uint64_t> parse_size(std::string_view text);  // bytes

// The shortest text in the largest unit that divides the value exactly; parses back to it.
// Durations are whole milliseconds here (what a config can say).
std::string format_duration(Duration duration);
std::string format_size(std::uint64_t bytes);

}  // namespace holdfast
