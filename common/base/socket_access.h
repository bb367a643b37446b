// Who may connect to a Unix listener: the mode, owner and group of its file.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "common/base/result.h"

namespace holdfast {

struct SocketAccess {
  std::optional<mode_t> mode{};  // nothing: what the process's umask leaves of 0777
  std::optional<uid_t> user{};   // nothing: as the kernel made it
  std::optional<gid_t> group{};  // likewise
  bool operator==(const SocketAccess&) const = default;
};

// The file of a socket that is bound at `path`, and had `before`; never another's that has taken
// its place. Owner and group first, so that nobody gets in who would not stay there. The error has
// no path in it.
Status set_socket_access(const std::string& path, const SocketAccess& access,
                         const SocketAccess& before = {});

}  // namespace holdfast
