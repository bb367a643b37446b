// What a keeper asks the kernel for, that no library has.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

// As fork(2), for a process of one thread, with one table of descriptors for parent and child: what
// either opens or closes the other one has or misses. The child must not exec, which would end
// that. -1 with errno.
pid_t fork_sharing_descriptors();

// As fork(2) without what libraries have it do (pthread_atfork): for a child that soon executes
// another program. -1 with errno.
pid_t bare_fork();

// The process's name and words, as ps, pidof and pkill see them. argv's memory is the process's.
class ProcessNames {
 public:
  ProcessNames(int argc, char** argv);

  // Nothing but this name, everywhere. At most 15 bytes.
  void set(const char* name) const;
  // As the process was started.
  void restore() const;
  const std::vector<std::string>& words() const { return words_; }

 private:
  char* begin_;
  std::vector<std::string> words_;
  std::string bytes_;  // of all words, as they lie in memory
  std::string comm_;
};

// Path of the program as it was executed, absolute. Not what it is now: after an upgrade the file
// of that name is another one.
std::string program_path();

// True: it is stopped, by a signal or a debugger.
bool is_stopped(pid_t process);

// How eager the kernel is to kill this process when memory ends; the text of
// /proc/self/oom_score_adj.
std::string oom_score();
// What may not be set stays.
void set_oom_score(const std::string& text);

// How often the kernel has killed a process for memory: in this one's control group (cgroup v2,
// memory.events), or else on the host (/proc/vmstat). Nothing: neither says.
std::optional<std::uint64_t> count_memory_kills();

// Ends this process by the signal, as another one ended. Returns where that cannot be (process 1).
void end_by_signal(int number);

}  // namespace holdfast
