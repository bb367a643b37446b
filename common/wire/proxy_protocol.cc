#include "common/wire/proxy_protocol.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "common/wire/coding.h"

namespace holdfast {
namespace {

// 2.2: the bytes that no other protocol begins with.
constexpr std::array<std::uint8_t, 12> kSignature = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                                     0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
constexpr std::string_view kLineStart = "PROXY ";
constexpr std::size_t kFixedSize = 16;
constexpr std::uint8_t kLocal = 0x20, kProxy = 0x21;  // version and command
constexpr std::uint8_t kUnspecified = 0x00, kTcp4 = 0x11, kTcp6 = 0x21, kUnixStream = 0x31;
constexpr std::size_t kUnixAddresses = 216;
constexpr std::uint8_t kTlvUniqueId = 0x05;

bool is_ip(const Endpoint& endpoint) {
  return endpoint.family == EndpointFamily::ipv4 || endpoint.family == EndpointFamily::ipv6;
}

std::size_t address_size(EndpointFamily family) {
  return family == EndpointFamily::ipv4 ? 4 : 16;
}

// Both in one family, as a header wants them.
struct Addresses {
  Endpoint source;
  Endpoint destination;
};

Addresses alike(const Endpoint& source, const Endpoint& destination) {
  Addresses both{source, destination};
  if (!is_ip(destination)) {
    both.destination = Endpoint{};
    both.destination.family = source.family;
  }
  if (both.source.family == both.destination.family) return both;
  both.source = as_ipv6(both.source);
  both.destination = as_ipv6(both.destination);
  return both;
}

std::string address_text(const Endpoint& endpoint) {
  char text[INET6_ADDRSTRLEN] = {};
  int family = endpoint.family == EndpointFamily::ipv4 ? AF_INET : AF_INET6;
  inet_ntop(family, endpoint.address.data(), text, sizeof text);
  return text;
}

std::string line(const Endpoint& source, const Endpoint& destination) {
  if (!is_ip(source)) return "PROXY UNKNOWN\r\n";
  Addresses both = alike(source, destination);
  bool v4 = both.source.family == EndpointFamily::ipv4;
  return std::string(kLineStart) + (v4 ? "TCP4 " : "TCP6 ") + address_text(both.source) + " " +
         address_text(both.destination) + " " + std::to_string(both.source.port) + " " +
         std::to_string(both.destination.port) + "\r\n";
}

template <typename T>
void put(std::string& out, T value) {
  std::uint8_t raw[sizeof(T)];
  store_big_endian(raw, value);
  out.append(reinterpret_cast<const char*>(raw), sizeof raw);
}

void put_address(std::string& out, const Endpoint& endpoint) {
  out.append(reinterpret_cast<const char*>(endpoint.address.data()), address_size(endpoint.family));
}

std::string binary(const Endpoint& source, const Endpoint& destination,
                   std::string_view unique_id) {
  std::string body;
  std::uint8_t family = kUnspecified;
  if (is_ip(source)) {
    Addresses both = alike(source, destination);
    family = both.source.family == EndpointFamily::ipv4 ? kTcp4 : kTcp6;
    put_address(body, both.source);
    put_address(body, both.destination);
    put(body, both.source.port);
    put(body, both.destination.port);
  }
  if (!unique_id.empty() && unique_id.size() <= kMaxProxyUniqueId) {
    put(body, kTlvUniqueId);
    put(body, static_cast<std::uint16_t>(unique_id.size()));
    body += unique_id;
  }
  std::string out(reinterpret_cast<const char*>(kSignature.data()), kSignature.size());
  put(out, kProxy);
  put(out, family);
  put(out, static_cast<std::uint16_t>(body.size()));
  return out + body;
}

// ---- Reading

std::optional<Endpoint> line_endpoint(std::string_view address, std::string_view port, bool v4) {
  Endpoint endpoint;
  endpoint.family = v4 ? EndpointFamily::ipv4 : EndpointFamily::ipv6;
  int family = v4 ? AF_INET : AF_INET6;
  if (inet_pton(family, std::string(address).c_str(), endpoint.address.data()) != 1) return {};
  const char* end = port.data() + port.size();
  auto [rest, failure] = std::from_chars(port.data(), end, endpoint.port);
  bool leading_zero = port.size() > 1 && port.front() == '0';
  if (failure != std::errc() || rest != end || leading_zero) return {};
  return endpoint;
}

// The next word of the line, which one space separates from what follows.
std::string_view take_word(std::string_view& text) {
  std::size_t space = text.find(' ');
  std::string_view word = text.substr(0, space);
  text = space == std::string_view::npos ? std::string_view() : text.substr(space + 1);
  return word;
}

ProxyParse parse_line(std::string_view text) {
  std::size_t end = text.substr(0, kMaxProxyLine).find("\r\n");
  if (end == std::string_view::npos) {
    if (text.size() >= kMaxProxyLine) return ProxyMalformed{"a PROXY line that does not end"};
    return ProxyIncomplete{};
  }
  ProxyHeader header;
  header.size = end + 2;
  std::string_view rest = text.substr(kLineStart.size(), end - kLineStart.size());
  std::string_view kind = take_word(rest);
  if (kind == "UNKNOWN") return header;  // 2.1: what follows is to be ignored
  if (kind != "TCP4" && kind != "TCP6") return ProxyMalformed{"a PROXY line of an unknown kind"};
  bool v4 = kind == "TCP4";
  std::string_view source = take_word(rest), destination = take_word(rest);
  std::string_view source_port = take_word(rest);
  auto from = line_endpoint(source, source_port, v4);
  auto to = line_endpoint(destination, rest, v4);
  if (!from || !to) return ProxyMalformed{"a PROXY line with a malformed address or port"};
  header.on_behalf = true;
  header.source = normalized(*from);
  header.destination = normalized(*to);
  return header;
}

Endpoint read_endpoint(Reader& reader, EndpointFamily family) {
  Endpoint endpoint;
  endpoint.family = family;
  Bytes raw = reader.bytes(address_size(family));
  std::copy(raw.begin(), raw.end(), endpoint.address.begin());
  return endpoint;
}

// TLVs that do not add up are somebody else's mistake, and told: what follows would not be the
// application's bytes.
bool tlvs_add_up(Bytes rest) {
  Reader reader(rest);
  while (!reader.rest().empty()) {
    reader.integer<std::uint8_t>();
    reader.bytes(reader.integer<std::uint16_t>());
    if (reader.failed()) return false;
  }
  return true;
}

ProxyParse parse_binary(Bytes bytes) {
  if (bytes.size() < kFixedSize) return ProxyIncomplete{};
  std::uint8_t command = bytes[12], family = bytes[13];
  std::size_t length = load_big_endian<std::uint16_t>(&bytes[14]);
  if (command != kLocal && command != kProxy) {
    return ProxyMalformed{"a PROXY header of an unknown version or command"};
  }
  if (kFixedSize + length > kMaxProxyHeader) return ProxyMalformed{"a PROXY header too long"};
  if (bytes.size() < kFixedSize + length) return ProxyIncomplete{};
  ProxyHeader header;
  header.size = kFixedSize + length;
  // 2.2: LOCAL's family and addresses are to be ignored, and so is what is no stream.
  if (command == kLocal) return header;
  Reader reader(bytes.subspan(kFixedSize, length));
  if (family == kTcp4 || family == kTcp6) {
    EndpointFamily kind = family == kTcp4 ? EndpointFamily::ipv4 : EndpointFamily::ipv6;
    header.source = read_endpoint(reader, kind);
    header.destination = read_endpoint(reader, kind);
    header.source.port = reader.integer<std::uint16_t>();
    header.destination.port = reader.integer<std::uint16_t>();
    header.on_behalf = true;
  } else if (family == kUnixStream) {
    reader.bytes(kUnixAddresses);
    header.source.family = header.destination.family = EndpointFamily::unix_socket;
    header.on_behalf = true;
  } else {
    return header;
  }
  if (reader.failed() || !tlvs_add_up(reader.rest())) {
    return ProxyMalformed{"a PROXY header whose length does not fit its parts"};
  }
  header.source = normalized(header.source);
  header.destination = normalized(header.destination);
  return header;
}

// Whether `bytes` are the beginning of `start`, as far as they go, or begin with it.
bool begins(Bytes bytes, Bytes start) {
  std::size_t size = std::min(bytes.size(), start.size());
  return std::equal(start.begin(), start.begin() + static_cast<std::ptrdiff_t>(size),
                    bytes.begin());
}

}  // namespace

std::string proxy_header(ProxyVersion version, const Endpoint& source, const Endpoint& destination,
                         std::string_view unique_id) {
  return version == ProxyVersion::v1 ? line(source, destination)
                                     : binary(source, destination, unique_id);
}

ProxyParse parse_proxy_header(Bytes bytes) {
  Bytes line_start(reinterpret_cast<const std::uint8_t*>(kLineStart.data()), kLineStart.size());
  if (begins(bytes, kSignature)) return parse_binary(bytes);
  if (!begins(bytes, line_start)) return ProxyMalformed{"no PROXY header"};
  if (bytes.size() < kLineStart.size()) return ProxyIncomplete{};
  return parse_line({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace holdfast
