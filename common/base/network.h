// IP addresses, networks, and patterns of address and port: what an allow list is made of.
//
//   10.0.5.7              one address                       network: 2001:db8::/32 without brackets
//   10.0.5.0/24           a network
//   10.0.5.0/24:5432      a pattern: its addresses at one port; [2001:db8::/32]:5432
//   10.0.5.7:8000-8099    ... at these ports
//   10.0.5.0/24:*         ... at any port
//
// An IPv4 address never fits an IPv6 network nor the other way round; an IPv4 address written as
// IPv6 (::ffff:10.0.5.7, RFC 4291, 2.5.5.2) is the IPv4 address, so that nobody passes by an allow
// list with it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace holdfast {

enum class IpVersion : std::uint8_t { v4 = 4, v6 = 6 };

struct IpAddress {
  IpVersion version = IpVersion::v4;
  std::array<std::uint8_t, 16> bytes{};  // network order; v4 uses the first four

  bool operator==(const IpAddress&) const = default;
  std::string to_string() const;  // without brackets
};

// `size` is 4 or 16 bytes in network order. An IPv4 address within IPv6 becomes what it is.
IpAddress ip_address(const std::uint8_t* bytes, std::size_t size);
Result<IpAddress> parse_ip_address(std::string_view text);

// Reach the host itself: 127.0.0.0/8, ::1, and the unspecified addresses, to which a connect goes
// to the host itself as well (RFC 1122, 3.2.1.3; Linux).
bool is_own_host(const IpAddress& address);
// One host of many cannot be meant: multicast, broadcast, and what may not be a destination.
bool is_for_many(const IpAddress& address);

struct Network {
  IpAddress address;         // bits after the prefix are zero
  std::uint8_t prefix = 32;  // 0..32, 0..128

  bool operator==(const Network&) const = default;
  bool contains(const IpAddress& other) const;
};
// The error says what is wrong with the text and how to write it.
Result<Network> parse_network(std::string_view text);
std::string to_string(const Network& network);  // "10.0.5.0/24", "10.0.5.7"

struct AddressPattern {
  Network network;
  std::uint16_t first_port = 1;
  std::uint16_t last_port = 65535;

  bool operator==(const AddressPattern&) const = default;
  bool contains(const IpAddress& address, std::uint16_t port) const {
    return port >= first_port && port <= last_port && network.contains(address);
  }
};
Result<AddressPattern> parse_address_pattern(std::string_view text);
std::string to_string(const AddressPattern& pattern);

}  // namespace holdfast
