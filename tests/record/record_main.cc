// holdfast-record: runs worlds from seeds as holdfast-sim does, and records their Links.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/record/recorder.h"
#include "tests/record/shard.h"
#include "tests/sim/runner.h"

namespace {

constexpr const char* kUsage =
    "usage: holdfast-record FILE FROM COUNT [MOST-STEPS]\n"
    "Records the Links of the simulator's seeds into FILE; seeds of more calls than MOST-STEPS\n"
    "are left out, and those in which streams move to another link. holdfast-replay FILE reads it. "
    "See tests/record/README.md.\n";

// Small files matter more than the time to write one.
constexpr int kLevel = 19;

}  // namespace

int main(int argc, char** argv) {
  using namespace holdfast;
  if (argc < 4 || argc > 5) {
    std::fputs(kUsage, argc == 2 && std::strcmp(argv[1], "--help") == 0 ? stdout : stderr);
    return argc == 2 && std::strcmp(argv[1], "--help") == 0 ? 0 : 64;
  }
  std::uint64_t from = std::strtoull(argv[2], nullptr, 10);
  std::uint64_t count = std::strtoull(argv[3], nullptr, 10);
  std::uint64_t most = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : UINT64_MAX;
  record::Shard shard;
  std::uint64_t steps = 0;
  for (std::uint64_t seed = from; seed < from + count; ++seed) {
    sim::Options options = sim::Options::draw(seed);
    // What lanes share at a server is an input of each that no tape has.
    options.lanes = options.first_lanes = 1;
    // A reload asks the server's policy back, which no tape knows.
    if (std::any_of(options.faults.begin(), options.faults.end(), [](const sim::Fault& fault) {
          return fault.kind == sim::FaultKind::limit_server;
        })) {
      continue;
    }
    auto record = std::make_unique<record::SeedRecord>();
    record->seed = seed;
    sim::Totals totals;
    sim::RunOutcome outcome;
    bool moved = false;
    {
      record::Recorder recorder(*record);
      outcome = sim::run_world(options, totals);
      moved = recorder.any_moved();
    }
    if (!outcome.passed) {
      std::fprintf(stderr, "seed %llu fails: %s\n", static_cast<unsigned long long>(seed),
                   outcome.reason.c_str());
      return 1;
    }
    if (record->steps > most || moved) continue;
    steps += record->steps;
    shard.push_back(std::move(record));
  }
  Status saved = record::save_shard(argv[1], shard, kLevel);
  if (!saved) {
    std::fprintf(stderr, "%s\n", saved.error().message.c_str());
    return 1;
  }
  std::printf("%zu seeds, %llu calls\n", shard.size(), static_cast<unsigned long long>(steps));
  return 0;
}
