// Repeats: of equal lines of a log the first is told at once, the others once a minute, with how
// often they came. An outage of an hour has sixty lines for each way in which dials fail.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/time.h"

namespace holdfast {

class Repeats {
 public:
  // Nothing: not now. Else how often it came since it was told last, this time included.
  std::optional<std::uint64_t> admit(std::string_view line, Time now);

 private:
  struct Entry {
    Time told{};
    std::uint64_t times = 0;  // since then
  };
  // Lines hold addresses and reasons, which a peer may vary: as many as kMostLines are known.
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace holdfast
