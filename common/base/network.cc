#include "common/base/network.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace holdfast {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::string quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

std::uint8_t longest_prefix(IpVersion version) {
  return version == IpVersion::v4 ? 32 : 128;
}

std::optional<std::uint32_t> parse_number(std::string_view text, std::uint32_t most) {
  std::uint32_t number = 0;
  const char* end = text.data() + text.size();
  auto [rest, failure] = std::from_chars(text.data(), end, number);
  if (failure != std::errc() || rest != end || number > most) return std::nullopt;
  return number;
}

// The first `prefix` bits of the address, the others zero.
IpAddress masked(IpAddress address, std::uint8_t prefix) {
  for (std::size_t byte = 0; byte < address.bytes.size(); ++byte) {
    std::size_t kept = prefix > byte * 8 ? std::min<std::size_t>(prefix - byte * 8, 8) : 0;
    address.bytes[byte] &= static_cast<std::uint8_t>(0xff00 >> kept);
  }
  return address;
}

bool is_zero(const IpAddress& address) {
  return std::all_of(address.bytes.begin(), address.bytes.end(),
                     [](std::uint8_t byte) { return byte == 0; });
}

struct Ports {
  std::uint16_t first;
  std::uint16_t last;
};

std::optional<Ports> parse_ports(std::string_view text) {
  if (text == "*") return Ports{1, 65535};
  std::size_t dash = text.find('-');
  auto first = parse_number(text.substr(0, dash), 65535);
  auto last = dash == std::string_view::npos ? first : parse_number(text.substr(dash + 1), 65535);
  if (!first || !last || *first == 0 || *last < *first) return std::nullopt;
  return Ports{static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)};
}

}  // namespace

std::string IpAddress::to_string() const {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(version == IpVersion::v4 ? AF_INET : AF_INET6, bytes.data(), text, sizeof text);
  return text;
}

IpAddress ip_address(const std::uint8_t* bytes, std::size_t size) {
  IpAddress address;
  bool mapped = size == 16 && std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes);
  if (mapped) {
    bytes += kMappedPrefix.size();
    size = 4;
  }
  address.version = size == 4 ? IpVersion::v4 : IpVersion::v6;
  std::copy_n(bytes, size, address.bytes.begin());
  return address;
}

Result<IpAddress> parse_ip_address(std::string_view text) {
  std::array<std::uint8_t, 16> raw{};
  std::string copy(text);
  if (inet_pton(AF_INET, copy.c_str(), raw.data()) == 1) return ip_address(raw.data(), 4);
  if (inet_pton(AF_INET6, copy.c_str(), raw.data()) == 1) return ip_address(raw.data(), 16);
  return Error{quoted(text) + " is not an IP address; names are not looked up here"};
}

bool is_own_host(const IpAddress& address) {
  if (address.version == IpVersion::v4) return address.bytes[0] == 127 || address.bytes[0] == 0;
  IpAddress rest = address;
  rest.bytes[15] &= 0xfe;  // ::1 and ::
  return is_zero(rest);
}

bool is_for_many(const IpAddress& address) {
  // 224.0.0.0/4 multicast, 240.0.0.0/4 reserved, with the broadcast address; ff00::/8 multicast.
  return address.version == IpVersion::v4 ? address.bytes[0] >= 224 : address.bytes[0] == 0xff;
}

bool Network::contains(const IpAddress& other) const {
  return other.version == address.version && masked(other, prefix) == address;
}

Result<Network> parse_network(std::string_view text) {
  std::size_t slash = text.find('/');
  auto address = parse_ip_address(text.substr(0, slash));
  if (!address) return Error{quoted(text) + " is no network: write 10.0.5.0/24 or 2001:db8::/32"};
  Network network{*address, longest_prefix(address->version)};
  if (slash == std::string_view::npos) return network;
  auto prefix = parse_number(text.substr(slash + 1), longest_prefix(address->version));
  if (!prefix) {
    return Error{quoted(text) + " is no network: what follows the / is a number from 0 to " +
                 std::to_string(longest_prefix(address->version))};
  }
  network.prefix = static_cast<std::uint8_t>(*prefix);
  network.address = masked(*address, network.prefix);
  if (network.address != *address) {
    return Error{quoted(text) + " has bits set after its prefix; did you mean " +
                 to_string(network) + "?"};
  }
  return network;
}

std::string to_string(const Network& network) {
  std::string text = network.address.to_string();
  if (network.prefix == longest_prefix(network.address.version)) return text;
  return text + "/" + std::to_string(network.prefix);
}

Result<AddressPattern> parse_address_pattern(std::string_view text) {
  std::size_t colon = text.rfind(':');
  std::string_view network_text = text.substr(0, colon);
  bool bracketed =
      network_text.size() >= 2 && network_text.front() == '[' && network_text.back() == ']';
  if (bracketed) network_text = network_text.substr(1, network_text.size() - 2);
  bool v6 = network_text.find(':') != std::string_view::npos;
  if (colon == std::string_view::npos || (v6 && !bracketed)) {
    return Error{quoted(text) +
                 " lacks its port: write 10.0.5.0/24:5432, [2001:db8::/32]:5432, or :* for any"};
  }
  auto network = parse_network(network_text);
  if (!network) return network.error();
  auto ports = parse_ports(text.substr(colon + 1));
  if (!ports) {
    return Error{quoted(text) +
                 ": the port is a number from 1 to 65535, two as in 8000-8099, or *"};
  }
  return AddressPattern{*network, ports->first, ports->last};
}

std::string to_string(const AddressPattern& pattern) {
  std::string text = to_string(pattern.network);
  if (pattern.network.address.version == IpVersion::v6) text = "[" + text + "]";
  if (pattern.first_port == 1 && pattern.last_port == 65535) return text + ":*";
  text += ":" + std::to_string(pattern.first_port);
  if (pattern.last_port != pattern.first_port) text += "-" + std::to_string(pattern.last_port);
  return text;
}

}  // namespace holdfast
