#include "tests/sim/totals.h"

#include "common/wire/cause.h"

namespace holdfast::sim {

void Totals::add(const Totals& other) {
  runs += other.runs;
  steps += other.steps;
  streams += other.streams;
  untouched += other.untouched;
  bytes += other.bytes;
  cuts += other.cuts;
  dials += other.dials;
  carriers += other.carriers;
  resumes += other.resumes;
  replayed_bytes += other.replayed_bytes;
  refusals += other.refusals;
  rejected += other.rejected;
  unknown += other.unknown;
  stale += other.stale;
  encrypted += other.encrypted;
  virtual_seconds += other.virtual_seconds;
  for (int i = 0; i < kHardships; ++i) hardships[i] += other.hardships[i];
  for (int i = 0; i < kFaultKinds; ++i) faults[i] += other.faults[i];
  for (int i = 0; i < kCauses; ++i) {
    resets[i] += other.resets[i];
    carrier_ends[i] += other.carrier_ends[i];
  }
}

std::string Totals::describe() const {
  std::string out;
  auto number = [&out](const char* name, std::uint64_t value) {
    out += std::string(name) + " " + std::to_string(value) + "\n";
  };
  number("runs", runs);
  number("encrypted", encrypted);
  number("steps", steps);
  number("virtual seconds", virtual_seconds);
  number("streams", streams);
  number("streams that nothing may harm", untouched);
  number("bytes delivered", bytes);
  number("cuts", cuts);
  number("dials", dials);
  number("carriers", carriers);
  number("resumes", resumes);
  number("replayed bytes", replayed_bytes);
  number("refusals", refusals);
  number("rejected carriers", rejected);
  number("unknown links", unknown);
  number("stale attempts", stale);
  out += "hardships:";
  for (int i = 0; i < kHardships; ++i) {
    if (hardships[i] == 0) continue;
    out +=
        std::string(" ") + to_string(static_cast<Hardship>(i)) + " " + std::to_string(hardships[i]);
  }
  out += "\nfaults:";
  for (int i = 0; i < kFaultKinds; ++i) {
    if (faults[i] == 0) continue;
    out +=
        std::string(" ") + to_string(static_cast<FaultKind>(i)) + " " + std::to_string(faults[i]);
  }
  auto causes = [&out](const char* what, const std::uint64_t(&counts)[kCauses]) {
    out += what;
    for (int i = 0; i < kCauses; ++i) {
      if (counts[i] == 0) continue;
      out += " " +
             std::string(holdfast::to_string(cause_from_code(static_cast<std::uint16_t>(i)))) +
             " " + std::to_string(counts[i]);
    }
  };
  causes("\nconnections ended by cause:", resets);
  causes("\nlinks down by cause:", carrier_ends);
  return out + "\n";
}

}  // namespace holdfast::sim
