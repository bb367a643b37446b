// Keeper: the process that was started. It makes the agent, a process of its own that shares its
// table of descriptors, and waits. An agent that exits ends it, with the same code; one that a
// signal kills is followed by the next, and all that was open still is. The next one is followed
// likewise when it exits before it serves, for some minutes.
//
//   keep() --+--> agent 1 ... killed     agent 2 ... crashed    anew: agent 3 ... exits 0
//            |       |           |          |           |          |              |
//   keeper   +-------+-----------+----------+-- exec ---+----------+--------------+--> exits 0
//
// It has one thread and begins before there is a config, a key or another thread; while it waits it
// takes no memory. How it judges deaths stands in judge.h.
//
// An agent ends with its keeper: by SIGKILL, or where a service manager started that, once it has
// parked everything (parking.h). SIGTERM tells it to.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "common/base/time.h"
#include "common/keeper/judge.h"
#include "common/keeper/page.h"
#include "common/keeper/process.h"

namespace holdfast {

// In ps, and for whoever looks at a process's parent.
inline constexpr const char* kKeeperName = "hf-keeper";
// Set to "no": keep() makes no other process, for a debugger or valgrind.
inline constexpr const char* kKeeperVariable = "HOLDFAST_KEEPER";

class Keeper {
 public:
  // Nothing happens yet but that there is a page.
  Keeper(int argc, char** argv);

  // Becomes the keeper: returns the last agent's exit code. In each agent's process: calls `agent`,
  // and returns what it returns.
  int keep(const std::function<int()>& agent);

  Page& page() { return page_; }

 private:
  struct End {
    pid_t pid;
    int status;  // of waitpid
  };

  void begin();
  // As fork: 0 in the agent's process. -1: this process was told to end; -2: there can be none.
  pid_t make_agent();
  int stand_alone(const std::function<int()>& agent);
  void become_agent() const;
  End wait_for(pid_t agent);
  // Null: it still runs.
  bool reap(pid_t agent, End& end);
  // The next signal, or 0 after `patience`.
  int next_signal(Duration patience);
  void pass_on(int number, pid_t agent);
  void look_at(pid_t agent);
  void pause_for(Duration patience);
  void take_over_parked();
  // After a pause: an agent that was to go on from another one has exited before it served. False:
  // it was to end, or has failed so for too long.
  bool begins_again(int code, Duration began);
  // False: the service manager has not got it all, and everything is still here.
  bool leave_parked();
  // The agent has exited and named a program. Returns where that cannot be had.
  void hand_over();
  // Returns where that cannot be.
  void execute(const std::string& program);
  bool reads_state(const std::string& program) const;
  int end_like(int number) const;

  ProcessNames names_;
  Page& page_;
  sigset_t signals_{};
  pid_t pid_ = 0;
  int parked_end_ = -1;  // of the queue that came back; -1: none
  std::string oom_score_;
  bool under_watchdog_ = false;  // a service manager ends all when the agent stands still
  int stop_ = 0;                 // the signal that asked for the end
  bool from_terminal_ = false;   // the last signal: the agent has got it as well
  bool waiting_[65] = {};        // signals for the next agent
  std::int64_t seen_turn_ = 0;
  int looks_ = 0;  // since it last turned
  bool stuck_ = false;
  std::optional<Duration> failing_since_;  // since no agent serves, for one after the other exits
  Duration look_interval_{};
};

}  // namespace holdfast
