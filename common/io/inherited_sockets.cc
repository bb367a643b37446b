#include "common/io/inherited_sockets.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <string>

namespace holdfast {
namespace {

bool is_transparent(int descriptor, int family) {
  int value = 0;
  socklen_t size = sizeof value;
  bool v6 = family == AF_INET6;
  return family != AF_UNIX &&
         getsockopt(descriptor, v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT,
                    &value, &size) == 0 &&
         value != 0;
}

// A path's length is that of its text at one end, and of the whole structure at the other.
bool same(const SocketAddress& one, const SocketAddress& other) {
  if (one.is_unix() && other.is_unix()) return one.to_string() == other.to_string();
  return one == other;
}

// Whose file is gone nobody finds any more, for as long as it may listen.
bool can_be_found(const SocketAddress& address) {
  if (!address.is_unix()) return true;
  const auto* bound = reinterpret_cast<const sockaddr_un*>(address.get());
  std::string path(bound->sun_path, strnlen(bound->sun_path, sizeof bound->sun_path));
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode);
}

}  // namespace

Descriptor InheritedSockets::take(const SocketAddress& address, bool transparent) {
  if (!can_be_found(address)) return {};
  auto found = std::find_if(sockets_.begin(), sockets_.end(), [&](const Descriptor& each) {
    return same(SocketAddress::own_of(each.get()), address) &&
           is_transparent(each.get(), address.family()) == transparent;
  });
  if (found == sockets_.end()) return {};
  Descriptor taken = std::move(*found);
  sockets_.erase(found);
  return taken;
}

}  // namespace holdfast
