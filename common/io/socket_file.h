// The file of a Unix listener.
#pragma once

#include <string>

#include "common/base/result.h"
#include "common/base/socket_access.h"

namespace holdfast {

// The file of a socket that is bound at `path`, and had `before`; never another's that has taken
// its place. Owner and group first, so that nobody gets in who would not stay there. The error has
// no path in it.
Status set_socket_access(const std::string& path, const SocketAccess& access,
                         const SocketAccess& before = {});

}  // namespace holdfast
