// Where an application stands, as it travels in OPEN: an address and port, or only the family.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <type_traits>

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

}  // namespace holdfast
