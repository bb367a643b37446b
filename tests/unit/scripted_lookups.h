// ScriptedLookups: name servers that say what the test says, when it says so.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/io/lookups.h"

namespace holdfast {

class ScriptedLookups final : public Lookups {
 public:
  using Started = std::vector<std::pair<std::uint64_t, std::string>>;
  // `started` outlives it: the number and the host of each look-up that was asked for.
  explicit ScriptedLookups(Started& started) : started_(started) {}
  void start(std::uint64_t number, const std::string& host) override {
    started_.emplace_back(number, host);
  }

 private:
  Started& started_;
};

}  // namespace holdfast
