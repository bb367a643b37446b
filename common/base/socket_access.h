// Who may connect to a Unix listener: the mode, owner and group of its file.
#pragma once

#include <sys/types.h>

#include <optional>

namespace holdfast {

struct SocketAccess {
  std::optional<mode_t> mode{};  // nothing: what the process's umask leaves of 0777
  std::optional<uid_t> user{};   // nothing: as the kernel made it
  std::optional<gid_t> group{};  // likewise
  bool operator==(const SocketAccess&) const = default;
};

}  // namespace holdfast
