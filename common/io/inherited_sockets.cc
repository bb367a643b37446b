#include "common/io/inherited_sockets.h"

#include <algorithm>

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

}  // namespace

Descriptor InheritedSockets::take(const SocketAddress& address, bool transparent) {
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
