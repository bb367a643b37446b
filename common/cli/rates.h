// Bytes a second, from counters that are looked at now and then.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/base/time.h"

namespace holdfast {

struct Rate {  // bytes a second
  double up = 0;
  double down = 0;
};
using RateTable = std::map<std::string, Rate>;  // by the counter's id

// What a counter of both directions says at an instant of its own clock.
struct Passed {
  std::string id;
  std::uint64_t up = 0;
  std::uint64_t down = 0;
  Duration at{};
};

class Rates {
 public:
  // What passed since the last call; nothing for ids that were not there then, or began anew.
  RateTable update(const std::vector<Passed>& now);

 private:
  std::map<std::string, Passed> before_;
};

}  // namespace holdfast
