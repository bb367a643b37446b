// Process: one agent of the simulated world as its kernel sees it: its descriptors, and when it
// runs. While its code runs (Running), its system calls come to the simulated kernel
// (system_calls.cc); descriptors of the real kernel are none of its.
//
//   asleep --a file that it waits for is ready--> due --its turn--> runs --> asleep, or due again
//                                                  |
//                            stalled (SIGSTOP, a starved host): due, but not before `until`
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "tests/sim/kernel/file.h"

namespace holdfast::sim {

class Kernel;

class Process {
 public:
  // Above every number that Linux gives out (fs.nr_open is 2^20 unless somebody raised it): a call
  // that escapes the wrapping fails with EBADF. Each process has its own range.
  static constexpr int kFirstDescriptor = 1 << 28;
  static constexpr int kRange = 1 << 16;

  // `host`: where it runs, an IPv4 address. `limit`: RLIMIT_NOFILE.
  Process(Kernel& kernel, std::uint32_t host, std::size_t limit);
  virtual ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  Kernel& kernel() { return kernel_; }
  std::uint32_t host() const { return host_; }
  std::uint32_t number() const { return number_; }

  // --- Descriptors ---
  // The lowest free number, or -1 with EMFILE.
  int add(std::unique_ptr<File> file);
  File* find(int descriptor) const;  // null: there is none
  int close(int descriptor);
  std::size_t open() const { return open_; }
  int first_descriptor() const;
  void set_limit(std::size_t limit) { limit_ = limit; }
  std::size_t limit() const { return limit_; }
  // The host's addresses or routes changed: whoever watches them is told.
  void tell_network_changed();
  // As by SIGKILL: everything is closed by the kernel. Its code may still be destroyed, whose
  // system calls then come to nothing.
  void die();
  bool dead() const { return dead_; }

  // --- Turns ---
  void wake();
  // It asked this epoll set: while something there is ready still, its next wait returns at once.
  void waited_on(const File& set);
  void stall(Time until);
  bool stalled() const;
  Time stalled_until() const { return stalled_until_; }
  // The kernel's: the turn that was scheduled as number `turn`.
  void run_due(std::uint64_t turn);

  class Running {
   public:
    explicit Running(Process& process) : before_(running_) { running_ = &process; }
    ~Running() { running_ = before_; }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    Process* before_;
  };
  // Whose code runs now; null: nobody's, and system calls are the real kernel's.
  static Process* running() { return running_; }

 protected:
  // One turn of its loop. True: it wants another at once.
  virtual bool turn() = 0;

 private:
  bool finds_more() const;
  void schedule(Time at);

  static Process* running_;
  Kernel& kernel_;
  std::uint32_t host_;
  std::uint32_t number_;
  std::size_t limit_;
  std::vector<std::unique_ptr<File>> files_;
  std::size_t open_ = 0;
  bool dead_ = false;
  Time stalled_until_{};
  bool due_ = false;
  std::vector<const File*> waited_on_;  // in the turn that runs
  std::uint64_t turn_ = 0;              // the latest that was scheduled
};

}  // namespace holdfast::sim
