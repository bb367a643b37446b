// Names and connects as `doctor` tries them: one after the other, waiting for each.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/config/address.h"
#include "common/io/socket.h"

namespace holdfast {

struct Reachable {
  std::string text;  // for people
  sockaddr_storage address{};
  socklen_t size = 0;
};

// The addresses of a name, as libc finds them; a literal's own. A wildcard is this host.
Result<std::vector<Reachable>> look_up(const TcpAddress& address);
Reachable at_path(const UnixAddress& address);

// A connected socket that does not block, or errno's value.
struct Reached {
  Descriptor socket;
  int error = 0;
};
Reached reach(const Reachable& where, std::chrono::milliseconds patience);

// What an errno of a connect means to who set things up.
std::string connect_remedy(int error, const std::string& who);

}  // namespace holdfast
