// Where an application stands, as it travels in OPEN: an address and port, or only the family.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>

#include "common/base/network.h"

namespace holdfast {

// The numbers are wire constants.
enum class EndpointFamily : std::uint8_t { none = 0, unix_socket = 1, ipv4 = 4, ipv6 = 6 };

struct Endpoint {
  EndpointFamily family = EndpointFamily::none;
  std::array<std::uint8_t, 16> address{};  // network order; ipv4 uses the first four
  std::uint16_t port = 0;                  // host order

  bool operator==(const Endpoint&) const = default;
  // "192.0.2.1:80", "[2001:db8::1]:80", "unix", "" for none.
  std::string to_string() const;
};
static_assert(std::is_trivially_copyable_v<Endpoint>);

// Nothing for an endpoint that is no IP address. An IPv4 address within IPv6 is given as IPv4.
std::optional<IpAddress> ip_of(const Endpoint& endpoint);
// An IPv4 address within IPv6 (::ffff:a.b.c.d) as IPv4; anything else as it is.
Endpoint normalized(const Endpoint& endpoint);
// An IPv4 address as ::ffff:a.b.c.d; anything else as it is.
Endpoint as_ipv6(const Endpoint& endpoint);

}  // namespace holdfast
