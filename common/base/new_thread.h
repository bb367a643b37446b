// The threads that a process begins with: where the host gives none, there is nothing to keep alive
// yet.
#pragma once

#include <system_error>
#include <thread>
#include <utility>

#include "common/base/host_refused.h"

namespace holdfast {

// What host_refused() says of one.
inline constexpr const char* kThread = "a thread (see `ulimit -u`, LimitNPROC= and TasksMax=)";

template <typename Body>
std::thread new_thread(Body body) {
  try {
    return std::thread(std::move(body));
  } catch (const std::system_error& refused) {
    host_refused(kThread, refused.code().value());
  }
}

}  // namespace holdfast
