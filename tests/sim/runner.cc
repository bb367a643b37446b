#include "tests/sim/runner.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "tests/sim/encryption.h"

namespace holdfast::sim {
namespace {

// A world takes milliseconds, the biggest a few seconds (more under sanitizers).
constexpr int kHungSeconds = 120;

// What a worker tells its parent, in memory that outlives it.
struct Report {
  std::atomic<std::uint64_t> next;  // the seed under way, or the first not begun
  std::atomic<std::uint64_t> end;
  std::atomic<std::uint64_t> passed;
  std::atomic<std::uint64_t> failed;
  Totals totals;
};

void run_range(Report& report, bool tls) {
  std::unique_ptr<Encryption> encryption;  // made once: it costs more than a world
  while (report.next < report.end) {
    std::uint64_t seed = report.next;
    Options options = Options::draw(seed);
    if (tls) options.encrypt();
    if (options.tls && encryption == nullptr) encryption = std::make_unique<Encryption>();
    RunOutcome outcome = run_world(options, report.totals, nullptr, encryption.get());
    if (outcome.passed) {
      report.passed += 1;
    } else {
      report.failed += 1;
      std::printf("FAILED holdfast-sim%s --seed %llu: %s\n", tls ? " --tls" : "",
                  static_cast<unsigned long long>(seed), outcome.reason.c_str());
      std::fflush(stdout);
    }
    report.next += 1;
  }
}

class Worker {
 public:
  Worker(Report& report, bool tls) : report_(report), tls_(tls) {}

  void start() {
    std::fflush(stdout);
    pid_ = fork();
    if (pid_ == 0) {
      run_range(report_, tls_);
      std::fflush(stdout);
      _exit(0);
    }
    seen_ = report_.next;
    seen_at_ = std::chrono::steady_clock::now();
  }
  bool running() const { return pid_ > 0; }

  // Notices death and standstill; a seed that killed its process is a failed one.
  void look() {
    if (!running()) return;
    int status = 0;
    pid_t ended = waitpid(pid_, &status, WNOHANG);
    auto now = std::chrono::steady_clock::now();
    if (report_.next != seen_) {
      seen_ = report_.next;
      seen_at_ = now;
    } else if (ended == 0 && now - seen_at_ > std::chrono::seconds(kHungSeconds)) {
      kill(pid_, SIGKILL);
      waitpid(pid_, &status, 0);
      ended = pid_;
    }
    if (ended != pid_) return;
    pid_ = 0;
    if (report_.next >= report_.end) return;
    std::printf("FAILED holdfast-sim%s --seed %llu: the process died of signal %d\n",
                tls_ ? " --tls" : "", static_cast<unsigned long long>(report_.next.load()),
                WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    report_.failed += 1;
    report_.next += 1;
    if (report_.next < report_.end) start();
  }

 private:
  Report& report_;
  bool tls_;
  pid_t pid_ = 0;
  std::uint64_t seen_ = 0;
  std::chrono::steady_clock::time_point seen_at_;
};

}  // namespace

RunOutcome run_world(const Options& options, Totals& totals, std::FILE* trace,
                     Encryption* encryption) {
  World world(options, encryption);
  world.trace_to(trace);
  RunOutcome outcome;
  try {
    world.run();
    outcome.passed = true;
  } catch (const Failure& failure) {
    char at[32];
    std::snprintf(at, sizeof at, " (at %.6fs)",
                  static_cast<double>(world.now().time_since_epoch().count()) / 1e6);
    outcome.reason = failure.what() + std::string(at);
  }
  totals.add(world.totals());
  return outcome;
}

std::uint64_t run_many(const ManySeeds& seeds) {
  unsigned jobs = seeds.jobs != 0 ? seeds.jobs : std::max(1U, std::thread::hardware_concurrency());
  jobs =
      static_cast<unsigned>(std::min<std::uint64_t>(jobs, std::max<std::uint64_t>(seeds.count, 1)));
  void* memory = mmap(nullptr, sizeof(Report) * jobs, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("mmap");
    return 1;
  }
  auto* reports = static_cast<Report*>(memory);
  std::vector<Worker> workers;
  for (unsigned i = 0; i < jobs; ++i) {
    Report* report = new (&reports[i]) Report();
    report->next = seeds.from + seeds.count * i / jobs;
    report->end = seeds.from + seeds.count * (i + 1) / jobs;
    workers.emplace_back(*report, seeds.tls);
  }
  for (Worker& worker : workers) worker.start();
  auto sum = [&](auto member) {
    std::uint64_t total = 0;
    for (unsigned i = 0; i < jobs; ++i) total += reports[i].*member;
    return total;
  };
  auto began = std::chrono::steady_clock::now();
  auto said = began;
  while (std::any_of(workers.begin(), workers.end(), [](const Worker& w) { return w.running(); })) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    for (Worker& worker : workers) worker.look();
    auto now = std::chrono::steady_clock::now();
    if (now - said < std::chrono::seconds(2)) continue;
    said = now;
    std::uint64_t done = sum(&Report::passed) + sum(&Report::failed);
    double elapsed = std::chrono::duration<double>(now - began).count();
    std::fprintf(
        stderr, "%llu of %llu seeds, %llu failed, %.0f a second\n",
        static_cast<unsigned long long>(done), static_cast<unsigned long long>(seeds.count),
        static_cast<unsigned long long>(sum(&Report::failed)), static_cast<double>(done) / elapsed);
  }
  Totals totals;
  for (unsigned i = 0; i < jobs; ++i) totals.add(reports[i].totals);
  std::uint64_t passed = sum(&Report::passed);
  std::uint64_t failed = sum(&Report::failed);
  std::printf("%s%llu passed, %llu failed\n", totals.describe().c_str(),
              static_cast<unsigned long long>(passed), static_cast<unsigned long long>(failed));
  munmap(memory, sizeof(Report) * jobs);
  return failed;
}

}  // namespace holdfast::sim
