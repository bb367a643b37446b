// holdfast-crash: worlds from seeds. `--help` says how.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/crash/world.h"

int main(int argc, char** argv) {
  std::uint64_t from = 1, count = 0, life = 0;
  bool usage = argc < 2;
  for (int i = 1; i < argc; ++i) {
    std::string name = argv[i];
    if (i + 1 >= argc) {
      usage = true;
      break;
    }
    std::uint64_t value = std::strtoull(argv[++i], nullptr, 10);
    if (name == "--from") from = value;
    if (name == "--count") count = value;
    if (name == "--life") life = value;
    if (name == "--seed") {
      from = value;
      count = 1;
    }
  }
  if (usage || count == 0) {
    std::puts(
        "usage: holdfast-crash --seed N | --count N [--from S]\n"
        "       ... --life N: a process passes about so many places before it dies");
    return 64;
  }
  std::uint64_t failed = 0, deaths = 0, corrected = 0, untold = 0;
  for (std::uint64_t seed = from; seed < from + count; ++seed) {
    holdfast::crash::World world(seed, life);
    try {
      world.run();
    } catch (const holdfast::crash::Failure& failure) {
      failed += 1;
      std::printf("FAILED seed %llu: %s\n", static_cast<unsigned long long>(seed), failure.what());
      std::fflush(stdout);
    }
    deaths += world.deaths();
    corrected += world.corrected;
    untold += world.untold;
  }
  std::printf(
      "%llu deaths, %llu positions corrected, %llu errors that cannot be told\n"
      "%llu passed, %llu failed\n",
      static_cast<unsigned long long>(deaths), static_cast<unsigned long long>(corrected),
      static_cast<unsigned long long>(untold), static_cast<unsigned long long>(count - failed),
      static_cast<unsigned long long>(failed));
  return failed == 0 ? 0 : 1;
}
