#include "common/keeper/process.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>

namespace holdfast {
namespace {

constexpr std::size_t kCommSize = 16;

// Where the C library keeps the id of its only thread; null where that is not to be found.
int* thread_id_address() {
  int* address = nullptr;
  if (prctl(PR_GET_TID_ADDRESS, &address, 0, 0, 0) != 0 || address == nullptr) return nullptr;
  return *address == getpid() ? address : nullptr;
}

// The first bytes of a small file of the kernel's; no heap. How many there are.
std::size_t read_start(const char* path, char* buffer, std::size_t size) {
  int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return 0;
  ssize_t got = read(descriptor, buffer, size);
  close(descriptor);
  return got > 0 ? static_cast<std::size_t>(got) : 0;
}

// clone(2) with the parent's stack, which a null stands for. Where it is the system call's first
// argument the flags are the second one. Of the two last ones both have the thread's id: they stand
// in either order, by architecture, and the other one (thread-local storage) is not looked at.
pid_t clone_here(unsigned long flags, int* thread_id) {
#if defined(__s390__) || defined(__s390x__)
  return static_cast<pid_t>(syscall(SYS_clone, nullptr, flags, nullptr, thread_id, thread_id));
#else
  return static_cast<pid_t>(syscall(SYS_clone, flags, nullptr, nullptr, thread_id, thread_id));
#endif
}

}  // namespace

pid_t bare_fork() {
  return clone_here(SIGCHLD, nullptr);
}

pid_t fork_sharing_descriptors() {
  unsigned long flags = CLONE_FILES | SIGCHLD;
  int* thread_id = thread_id_address();
  // As the C library's fork does it: else the child's mutexes have the parent for an owner.
  if (thread_id != nullptr) flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
  return clone_here(flags, thread_id);
}

ProcessNames::ProcessNames(int argc, char** argv) : begin_(argc > 0 ? argv[0] : nullptr) {
  char* end = begin_;
  for (int i = 0; i < argc; ++i) {
    words_.emplace_back(argv[i]);
    if (argv[i] == end) end += words_.back().size() + 1;  // as execve lays them
  }
  bytes_.assign(begin_, end);
  char comm[kCommSize] = "";
  prctl(PR_GET_NAME, comm);
  comm_ = comm;
}

void ProcessNames::set(const char* name) const {
  prctl(PR_SET_NAME, name);
  if (bytes_.empty()) return;
  std::memset(begin_, 0, bytes_.size());
  std::snprintf(begin_, bytes_.size(), "%s", name);
}

void ProcessNames::restore() const {
  prctl(PR_SET_NAME, comm_.c_str());
  std::memcpy(begin_, bytes_.data(), bytes_.size());
}

std::string program_path() {
  const auto* executed = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
  std::string path = executed != nullptr ? executed : "";
  if (!path.empty() && path[0] == '/' && path.compare(0, 8, "/dev/fd/") != 0) return path;
  char link[PATH_MAX] = "";
  bool relative = !path.empty() && path[0] != '/';
  if (relative && getcwd(link, sizeof link) != nullptr) return std::string(link) + "/" + path;
  ssize_t size = readlink("/proc/self/exe", link, sizeof link);
  return {link, size > 0 ? static_cast<std::size_t>(size) : 0};
}

bool is_stopped(pid_t process) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/stat", process);
  char text[256];
  std::size_t size = read_start(path, text, sizeof text - 1);
  text[size] = '\0';
  const char* name_end = std::strrchr(text, ')');  // "12 (name) T ..."
  if (name_end == nullptr || name_end + 2 >= text + size) return false;
  return name_end[2] == 'T' || name_end[2] == 't';
}

std::string oom_score() {
  char text[16];
  return {text, read_start("/proc/self/oom_score_adj", text, sizeof text)};
}

void set_oom_score(const std::string& text) {
  int descriptor = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) return;
  [[maybe_unused]] ssize_t ignored = write(descriptor, text.data(), text.size());
  close(descriptor);
}

std::optional<std::uint64_t> count_memory_kills() {
  std::ifstream groups("/proc/self/cgroup");
  std::string path;
  for (std::string line; path.empty() && std::getline(groups, line);) {
    if (line.compare(0, 3, "0::") == 0) path = "/sys/fs/cgroup" + line.substr(3) + "/memory.events";
  }
  for (const std::string& each : {path, std::string("/proc/vmstat")}) {
    std::ifstream file(each);
    std::string name;
    for (std::uint64_t value = 0; file >> name >> value;) {
      if (name == "oom_kill") return value;
    }
  }
  return std::nullopt;
}

void end_by_signal(int number) {
  signal(number, SIG_DFL);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, number);
  sigprocmask(SIG_UNBLOCK, &only, nullptr);
  prctl(PR_SET_DUMPABLE, 0);  // who died first has left the core
  kill(getpid(), number);
}

}  // namespace holdfast
