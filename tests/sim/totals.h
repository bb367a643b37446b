// Totals: what many runs add up to.
#pragma once

#include <cstdint>
#include <string>

#include "tests/sim/hardships.h"
#include "tests/sim/options.h"

namespace holdfast::sim {

struct Totals {
  std::uint64_t runs = 0;
  std::uint64_t steps = 0;  // events
  std::uint64_t streams = 0;
  std::uint64_t untouched = 0;  // streams that nothing excused and that carried everything
  std::uint64_t bytes = 0;
  std::uint64_t cuts = 0;
  std::uint64_t dials = 0;
  std::uint64_t carriers = 0;  // that stood
  std::uint64_t resumes = 0;
  std::uint64_t replayed_bytes = 0;
  std::uint64_t refusals = 0;
  std::uint64_t rejected = 0;  // carriers that came to nothing at the server
  std::uint64_t unknown = 0;
  std::uint64_t stale = 0;
  std::uint64_t encrypted = 0;               // runs
  std::uint64_t hardships[kHardships] = {};  // runs
  std::uint64_t faults[kFaultKinds] = {};
  static constexpr int kCauses = 40;
  std::uint64_t resets[kCauses] = {};        // connections' ends, by cause, FINs left out
  std::uint64_t carrier_ends[kCauses] = {};  // links that went down, by cause
  std::uint64_t virtual_seconds = 0;

  void add(const Totals& other);
  std::string describe() const;
};

}  // namespace holdfast::sim
