// Parameters of HELLO and WELCOME (PROTOCOL.md, 12). Odd ones may be skipped by who does not know
// them, unknown even ones are errors.
#pragma once

#include <cstdint>
#include <string_view>

namespace holdfast {

enum class Parameter : std::uint16_t {
  features = 1,
  name = 2,
  slot = 4,
  start_id = 6,
  ordinal = 8,
  retry_after = 10,
  home = 11,
  grace = 12,
  home_address = 13,
  heartbeat = 14,
  dead_after = 16,
  max_streams = 18,
  initial_credit = 20,
  service_grace = 22,
  grants = 23,
  mark_key = 25,
};

// For people; "" for a number that is none of them.
std::string_view to_string(Parameter parameter);

}  // namespace holdfast
