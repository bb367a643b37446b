// holdfast-sim: worlds from seeds, and the sweep. `--help` says how.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

#include "tests/sim/runner.h"
#include "tests/sim/sweep.h"

namespace {

constexpr const char* kUsage =
    "usage: holdfast-sim --seed N [--trace FILE]     one world, its options printed\n"
    "       holdfast-sim --seeds A..B [--jobs N]     many (both ends included)\n"
    "       holdfast-sim --count N --from S [--jobs N]\n"
    "       holdfast-sim --sweep [--step N] [--pair-step N]\n"
    "                                                a short exchange cut at every byte (every "
    "Nth;\n"
    "                                                the grid of pairs, 0: none)\n"
    "       holdfast-sim --tls ...                   any of these over encrypted carriers (else "
    "one seed in ten)\n";

struct Arguments {
  std::optional<std::uint64_t> seed;
  std::optional<std::uint64_t> count;
  std::uint64_t from = 1;
  unsigned jobs = 0;
  bool sweep = false;
  holdfast::sim::SweepOptions sweeping;
  bool tls = false;
  std::string trace;
};

bool parse_number(const char* text, std::uint64_t& value) {
  char* end = nullptr;
  value = std::strtoull(text, &end, 10);
  return end != text && *end == 0;
}

bool parse_range(const std::string& text, Arguments& arguments) {
  std::size_t dots = text.find("..");
  if (dots == std::string::npos) return false;
  std::uint64_t last = 0;
  if (!parse_number(text.substr(0, dots).c_str(), arguments.from)) return false;
  if (!parse_number(text.substr(dots + 2).c_str(), last) || last < arguments.from) return false;
  arguments.count = last - arguments.from + 1;
  return true;
}

bool parse_option(const std::string& name, const char* value, Arguments& arguments) {
  std::uint64_t number = 0;
  if (name == "--trace") {
    arguments.trace = value;
    return true;
  }
  if (name == "--seeds") return parse_range(value, arguments);
  if (!parse_number(value, number)) return false;
  if (name == "--seed") {
    arguments.seed = number;
  } else if (name == "--count") {
    arguments.count = number;
  } else if (name == "--from") {
    arguments.from = number;
  } else if (name == "--jobs") {
    arguments.jobs = static_cast<unsigned>(number);
  } else if (name == "--step" && number != 0) {
    arguments.sweeping.step = number;
  } else if (name == "--pair-step") {
    arguments.sweeping.pair_step = number;
  } else {
    return false;
  }
  return true;
}

bool parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    std::string name = argv[i];
    if (name == "--sweep") {
      arguments.sweep = true;
    } else if (name == "--tls") {
      arguments.tls = arguments.sweeping.tls = true;
    } else if (i + 1 >= argc || !parse_option(name, argv[++i], arguments)) {
      return false;
    }
  }
  return arguments.sweep || arguments.seed || arguments.count;
}

int run_one(const Arguments& arguments) {
  using namespace holdfast::sim;
  Options options = Options::draw(*arguments.seed);
  if (arguments.tls) options.encrypt();
  std::FILE* trace = nullptr;
  if (!arguments.trace.empty()) {
    options.trace = true;
    trace = arguments.trace == "-" ? stdout : std::fopen(arguments.trace.c_str(), "w");
    if (trace == nullptr) {
      std::perror(arguments.trace.c_str());
      return 1;
    }
  }
  std::printf("%s", options.describe().c_str());
  std::fflush(stdout);
  Totals totals;
  RunOutcome outcome = run_world(options, totals, trace);
  if (trace != nullptr && trace != stdout) std::fclose(trace);
  std::printf("%s", totals.describe().c_str());
  if (!outcome.passed) std::printf("FAILED: %s\n", outcome.reason.c_str());
  std::printf("%d passed, %d failed\n", outcome.passed ? 1 : 0, outcome.passed ? 0 : 1);
  return outcome.passed ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fputs(kUsage, argc == 2 && std::strcmp(argv[1], "--help") == 0 ? stdout : stderr);
    return argc == 2 && std::strcmp(argv[1], "--help") == 0 ? 0 : 64;
  }
  if (arguments.sweep) return holdfast::sim::sweep(arguments.sweeping) == 0 ? 0 : 1;
  if (arguments.seed) return run_one(arguments);
  holdfast::sim::ManySeeds seeds{arguments.from, *arguments.count, arguments.jobs, arguments.tls};
  return holdfast::sim::run_many(seeds) == 0 ? 0 : 1;
}
