// Runs of many seeds: in processes of their own, so that a failed CHECK costs one seed only.
#pragma once

#include <cstdint>
#include <string>

#include "tests/sim/world.h"

namespace holdfast::sim {

struct RunOutcome {
  bool passed = false;
  std::string reason;
};

// One world; its totals are added to `totals` even when it fails.
RunOutcome run_world(const Options& options, Totals& totals, std::FILE* trace = nullptr,
                     Encryption* encryption = nullptr);

struct ManySeeds {
  std::uint64_t from = 1;
  std::uint64_t count = 1;
  unsigned jobs = 0;  // 0: one a core
  bool tls = false;   // encrypted carriers
};
// Prints progress to stderr, failures and totals to stdout; the last line is "N passed, N failed".
// Gives the number of failures.
std::uint64_t run_many(const ManySeeds& seeds);

}  // namespace holdfast::sim
