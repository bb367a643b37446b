// Home: by what a client finds its server again behind a balancer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/dns_name.h"

namespace holdfast {

// Empty: the server tells none.
struct Home {
  std::string name;     // DNS name, which the client sends in clear as TLS's server name (SNI)
  std::string address;  // where it is without the balancer, "host:port"
  bool operator==(const Home&) const = default;
};

// A name, a colon, a port.
inline constexpr std::size_t kMaxHomeAddress = kMaxDnsName + 6;

struct HomeAddress {
  std::string host;  // without brackets
  std::uint16_t port = 0;
  bool operator==(const HomeAddress&) const = default;
};
// "name:port", "192.0.2.1:port", "[2001:db8::1]:port".
std::optional<HomeAddress> parse_home_address(std::string_view text);

}  // namespace holdfast
