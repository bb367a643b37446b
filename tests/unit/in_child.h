// What would change this process for good (its table of descriptors), tried in a child of it.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace holdfast {

// What `check` says there.
inline bool in_child(const std::function<bool()>& check) {
  pid_t child = fork();
  if (child == 0) _exit(check() ? 0 : 1);
  int status = 1;
  return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

}  // namespace holdfast
