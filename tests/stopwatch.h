// A stopwatch that stands still while this machine keeps our threads waiting for a core; as
// tests/lib/stopwatch.py. On a quiet machine it is a clock.
#pragma once

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace holdfast::test {

class Stopwatch {
 public:
  using Nanoseconds = std::chrono::nanoseconds;

  // Since the start, without the waits; no less than a twentieth of what the clock says.
  Nanoseconds passed() const {
    const Nanoseconds elapsed = std::chrono::steady_clock::now() - start_;
    Nanoseconds waited{};
    for (const auto& [thread, now] : waits()) {
      const auto before = waits_.find(thread);
      waited += before == waits_.end() ? now : now - before->second;
    }
    return std::max(elapsed - waited, elapsed / 20);
  }

 private:
  using Waits = std::map<std::string, Nanoseconds>;

  // What each thread has waited for a core in its life: the second number of schedstat.
  static Waits waits() {
    Waits found;
    std::error_code gone;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", gone)) {
      std::ifstream file(task.path() / "schedstat");
      long long ran = 0;
      long long waited = 0;
      if (file >> ran >> waited) found[task.path().filename()] = Nanoseconds(waited);
    }
    return found;
  }

  Waits waits_ = waits();
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace holdfast::test
