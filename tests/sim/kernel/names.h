// Names: the look-ups of the simulated world, and the threads on which agents make them.
//
// An agent looks a name up by getaddrinfo(3) on a thread that it makes for it. Such a thread does
// not run at once: it is one event, at the time at which the world's resolver answers, and runs
// from beginning to end there.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/base/time.h"

namespace holdfast::sim {

class Kernel;
class Process;

class Names {
 public:
  using Routine = void* (*)(void* argument);

  explicit Names(Kernel& kernel) : kernel_(kernel) {}
  ~Names();  // runs what still waits, whose starters are gone
  Names(const Names&) = delete;
  Names& operator=(const Names&) = delete;

  // --- The world's ---
  // None: there is no such name.
  void set(const std::string& name, std::vector<std::uint32_t> hosts) { hosts_[name] = hosts; }
  void forget() { hosts_.clear(); }  // every name
  void set_delay(Duration delay) { delay_ = delay; }
  // Questions are not answered until then: a resolver gives up after a while, as glibc's does.
  void hang_until(Time until) { hang_until_ = until; }
  // The name server says that it cannot.
  void fail_until(Time until) { fail_until_ = until; }
  std::uint64_t asked() const { return last_thread_; }

  // --- System calls ---
  void start(Process& process, Routine routine, void* argument);
  // 0, or EAI_*.
  int answer(const std::string& name, std::vector<std::uint32_t>& hosts) const;
  // Whose thread runs now; null: none.
  static Names* answering() { return answering_; }

  void due(std::uint64_t thread);  // the kernel's

 private:
  struct Thread {
    std::uint32_t process;
    Routine routine;
    void* argument;
  };

  void run(const Thread& thread);

  static Names* answering_;
  Kernel& kernel_;
  std::map<std::string, std::vector<std::uint32_t>> hosts_;
  Duration delay_ = milliseconds(1);
  Time hang_until_{};
  Time fail_until_{};
  std::map<std::uint64_t, Thread> threads_;
  std::uint64_t last_thread_ = 0;
};

}  // namespace holdfast::sim
