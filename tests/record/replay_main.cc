// holdfast-replay: what links did when they were recorded, beside what they do now.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "tests/record/replayer.h"
#include "tests/record/shard.h"

namespace {

using holdfast::record::Replayer;

constexpr const char* kUsage =
    "usage: holdfast-replay FILE...              every seed; what differs first in each\n"
    "       holdfast-replay --print SEED FILE...  one seed's calls, and what they answer now\n"
    "See tests/record/README.md.\n";

// Which is at work: an invariant that fails aborts, and then this says where.
const Replayer* at_work = nullptr;

void tell_where(int) {
  if (at_work != nullptr) {
    std::string text = at_work->position("the core aborts").describe() + "\n";
    [[maybe_unused]] ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
  }
  _exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace holdfast::record;
  std::vector<std::string> files(argv + 1, argv + argc);
  std::optional<std::uint64_t> print;
  if (files.size() > 2 && files[0] == "--print") {
    print = std::strtoull(files[1].c_str(), nullptr, 10);
    files.erase(files.begin(), files.begin() + 2);
  }
  if (files.empty() || files[0][0] == '-') {
    bool help = files.size() == 1 && files[0] == "--help";
    std::fputs(kUsage, help ? stdout : stderr);
    return help ? 0 : 64;
  }
  signal(SIGABRT, tell_where);
  std::uint64_t passed = 0;
  std::uint64_t failed = 0;
  std::uint64_t steps = 0;
  for (const std::string& path : files) {
    auto shard = load_shard(path);
    if (!shard) {
      std::printf("%s\n", shard.error().message.c_str());
      failed += 1;
      continue;
    }
    for (auto& record : *shard) {
      if (print && *print != record->seed) continue;
      Replayer replayer(*record, print ? stdout : nullptr);
      at_work = &replayer;
      std::optional<Divergence> divergence = replayer.run();
      at_work = nullptr;
      (divergence ? failed : passed) += 1;
      steps += divergence ? divergence->step : record->steps;
      if (divergence) std::printf("%s\n", divergence->describe().c_str());
    }
  }
  std::printf("%llu calls\n%llu passed, %llu failed\n", static_cast<unsigned long long>(steps),
              static_cast<unsigned long long>(passed), static_cast<unsigned long long>(failed));
  return failed == 0 && passed != 0 ? 0 : 1;
}
