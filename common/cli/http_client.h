// One question to an agent's admin socket.
#pragma once

#include <string>
#include <variant>

#include "common/base/time.h"

namespace holdfast {

// More than an agent's own patience with its loop, so that its answer arrives, not our timeout.
inline constexpr Duration kAdminTimeout = seconds(5);

struct HttpAnswer {
  int status = 0;
  std::string body;
};

// Nobody answered. `reason` names the socket and says what to do.
struct Unanswered {
  bool permission = false;
  std::string reason;
};

// `method` is GET or POST, `target` a path with its query string.
std::variant<HttpAnswer, Unanswered> ask_agent(const std::string& socket, const std::string& method,
                                               const std::string& target,
                                               Duration timeout = kAdminTimeout);

}  // namespace holdfast
