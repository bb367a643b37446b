// What an agent's process went on with of the one before it.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "common/base/time.h"

namespace holdfast {

struct RecoveryReport {
  std::string reason;  // why there was another process (keeper/page.h); empty: there was none
  std::uint64_t links = 0;
  std::uint64_t connections = 0;
  std::uint64_t adopted = 0;    // accepted a moment before the other one's end
  std::uint64_t corrected = 0;  // whose position the kernel knew better
  std::uint64_t lost = 0;
  // Of all processes since the first one, by reason.
  std::map<std::string, std::uint64_t> recoveries{};
  std::uint64_t connections_in_all = 0;
  Duration gap{};  // from the end of the one until this one listened
};

}  // namespace holdfast
