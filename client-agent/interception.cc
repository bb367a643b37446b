#include "client-agent/interception.h"

#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include <algorithm>

namespace holdfast {

Result<Endpoint> original_destination(int descriptor, ListenMode mode) {
  SocketAddress own = SocketAddress::own_of(descriptor);
  if (mode == ListenMode::tproxy) return normalized(own.endpoint());
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  bool v6 = own.family() == AF_INET6;
  // Both names stand for 80.
  // NOLINTNEXTLINE(bugprone-branch-clone)
  if (getsockopt(descriptor, v6 ? SOL_IPV6 : SOL_IP, v6 ? IP6T_SO_ORIGINAL_DST : SO_ORIGINAL_DST,
                 &storage, &size) != 0) {
    return Error{"it was not redirected: no original destination (" + error_text(errno) + ")"};
  }
  SocketAddress original(reinterpret_cast<const sockaddr*>(&storage), size);
  return normalized(original.endpoint());
}

std::uint32_t narrowest_match(const std::vector<AddressPattern>& patterns, const Endpoint& where) {
  auto address = ip_of(where);
  std::uint32_t narrowest = 0;
  if (!address) return narrowest;
  for (const AddressPattern& pattern : patterns) {
    if (!pattern.contains(*address, where.port)) continue;
    // The prefix first; among equal ones fewer ports.
    std::uint32_t ports = static_cast<std::uint32_t>(pattern.last_port - pattern.first_port);
    narrowest = std::max(narrowest, (pattern.network.prefix + 1U) << 16 | (0xffff - ports));
  }
  return narrowest;
}

}  // namespace holdfast
