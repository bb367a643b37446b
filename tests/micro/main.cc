// holdfast-micro: what codec, send log, scheduler and core cost, without sockets.
//
//   holdfast-micro                 every case: nanoseconds and allocations an operation
//   holdfast-micro --list          the names
//   holdfast-micro CASE COUNT      sets CASE up and does it COUNT times: for counting instructions
//   holdfast-micro --allocations   fails when a case that must not allocate in steady state does
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

#include "tests/micro/cases.h"

namespace {
std::uint64_t allocations = 0;
}

void* operator new(std::size_t size) {
  allocations += 1;
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace holdfast::micro {
namespace {

constexpr std::uint64_t kWarmUp = 2000;
constexpr int kRounds = 5;
constexpr double kRoundSeconds = 0.1;

double seconds_of(const std::function<void(std::uint64_t)>& work, std::uint64_t count) {
  auto began = std::chrono::steady_clock::now();
  work(count);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

double allocations_each(const std::function<void(std::uint64_t)>& work) {
  std::uint64_t before = allocations;
  work(kWarmUp);
  return static_cast<double>(allocations - before) / static_cast<double>(kWarmUp);
}

void measure(const Case& one) {
  auto work = one.prepare();
  work(kWarmUp);
  double each = seconds_of(work, kWarmUp) / static_cast<double>(kWarmUp);
  auto count = std::max<std::uint64_t>(static_cast<std::uint64_t>(kRoundSeconds / each), 1);
  double best = each;
  for (int round = 0; round < kRounds; ++round) {
    best = std::min(best, seconds_of(work, count) / static_cast<double>(count));
  }
  std::printf("%-12.*s %10.1f ns %8.2f allocations  %.*s\n", static_cast<int>(one.name.size()),
              one.name.data(), best * 1e9, allocations_each(work),
              static_cast<int>(one.what.size()), one.what.data());
}

int check_allocations() {
  int failed = 0;
  for (const Case& one : cases()) {
    auto work = one.prepare();
    work(kWarmUp);
    double each = allocations_each(work);
    bool good = one.allocates || each == 0;
    std::printf("%s %.*s: %.3f allocations\n", good ? "ok    " : "FAILED",
                static_cast<int>(one.name.size()), one.name.data(), each);
    failed += good ? 0 : 1;
  }
  return failed == 0 ? 0 : 1;
}

int run_one(std::string_view name, std::uint64_t count) {
  for (const Case& one : cases()) {
    if (one.name != name) continue;
    auto work = one.prepare();
    work(kWarmUp);
    work(count);
    return 0;
  }
  std::fprintf(stderr, "holdfast-micro: no case %s; --list names them\n",
               std::string(name).c_str());
  return 64;
}

int run(int argc, char** argv) {
  if (argc == 3) return run_one(argv[1], std::strtoull(argv[2], nullptr, 10));
  std::string_view option = argc == 2 ? argv[1] : "";
  if (option == "--allocations") return check_allocations();
  for (const Case& one : cases()) {
    if (option == "--list") std::printf("%s\n", std::string(one.name).c_str());
    if (argc == 1) measure(one);
  }
  return argc == 1 || option == "--list" ? 0 : 64;
}

}  // namespace
}  // namespace holdfast::micro

int main(int argc, char** argv) {
  return holdfast::micro::run(argc, argv);
}
