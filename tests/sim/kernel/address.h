// Address: an IPv4 host and a port of the simulated network.
#pragma once

#include <netinet/in.h>

#include <compare>
#include <cstdint>
#include <string>

namespace holdfast::sim {

struct Address {
  std::uint32_t host = 0;  // in the host's order: 10.0.0.1 is 0x0a000001
  std::uint16_t port = 0;
  auto operator<=>(const Address&) const = default;

  static Address of(const sockaddr* address) {
    const auto& v4 = *reinterpret_cast<const sockaddr_in*>(address);
    return {ntohl(v4.sin_addr.s_addr), ntohs(v4.sin_port)};
  }
  sockaddr_in to_sockaddr() const {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_addr.s_addr = htonl(host);
    v4.sin_port = htons(port);
    return v4;
  }
  std::string host_text() const {
    return std::to_string(host >> 24) + "." + std::to_string(host >> 16 & 255) + "." +
           std::to_string(host >> 8 & 255) + "." + std::to_string(host & 255);
  }
};

}  // namespace holdfast::sim
