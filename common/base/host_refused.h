// What cannot be begun without, refused by the host while the process begins: there is nothing to
// keep alive yet, and nothing to do but say so. Later on, what the host refuses is a value.
#pragma once

#include <system_error>

namespace holdfast {

// Says "the host refuses WHAT: REASON" on standard error and exits with 1.
[[noreturn]] void host_refused(const char* what, int error) noexcept;

// What `begin` gives, where the host gives it: a thread, whose constructor throws else.
template <typename Begin>
auto unless_refused(const char* what, Begin begin) {
  try {
    return begin();
  } catch (const std::system_error& refused) {
    host_refused(what, refused.code().value());
  }
}
// As `what`.
inline constexpr const char* kThread = "a thread (see `ulimit -u`, LimitNPROC= and TasksMax=)";
inline constexpr const char* kBuffers =
    "memory for connections' buffers (see `ulimit -v`, LimitAS= and memory in [limits])";
inline constexpr const char* kProcess = "a process (see `ulimit -u`, LimitNPROC= and TasksMax=)";

}  // namespace holdfast
