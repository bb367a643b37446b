#include "common/config/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "common/base/overloaded.h"
#include "common/base/with_systemd.h"

namespace holdfast {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr std::string_view kSystemdPrefix = "systemd:";
constexpr std::size_t kMaxHostBytes = 253;         // RFC 1035, 2.3.4, without the final dot
constexpr std::size_t kMaxSystemdNameBytes = 255;  // sd_listen_fds_with_names(3)

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_name_char(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
         c == '.';
}

std::string quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

Error malformed(std::string_view text, const std::string& why) {
  return Error{quoted(text) + " is not an address: " + why};
}

// The canonical text of an IPv4 or IPv6 literal (no scope), or nothing when it is neither.
std::optional<std::string> canonical_literal(int family, std::string_view host) {
  std::array<unsigned char, sizeof(in6_addr)> raw{};
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (inet_pton(family, std::string(host).c_str(), raw.data()) != 1) return std::nullopt;
  if (inet_ntop(family, raw.data(), text.data(), text.size()) == nullptr) return std::nullopt;
  return std::string(text.data());
}

bool is_v6_with_scope(std::string_view host) {
  const std::size_t percent = host.find('%');
  if (percent == std::string_view::npos) return canonical_literal(AF_INET6, host).has_value();
  const std::string_view scope = host.substr(percent + 1);
  return !scope.empty() && std::all_of(scope.begin(), scope.end(), is_name_char) &&
         canonical_literal(AF_INET6, host.substr(0, percent)).has_value();
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (port < 1 || port > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(port);
}

// Why `host` is neither an IPv4 literal nor a host name; empty when it is one.
std::string host_fault(std::string_view host) {
  if (host.empty()) return "the host is missing; to listen on all addresses write *:port";
  if (host == "*") return "* is for listeners: it is every address";
  if (host.size() > kMaxHostBytes) return "the host name is longer than 253 characters";
  if (!std::all_of(host.begin(), host.end(), is_name_char) || host.front() == '.' ||
      host.front() == '-') {
    return "the host name has a character that names do not have";
  }
  const bool numeric =
      std::all_of(host.begin(), host.end(), [](char c) { return is_digit(c) || c == '.'; });
  if (numeric && !canonical_literal(AF_INET, host)) return "the IPv4 address is not a valid one";
  return "";
}

Result<TcpAddress> with_port(std::string_view text, std::string_view host, std::string_view port) {
  const std::optional<std::uint16_t> number = parse_port(port);
  if (!number) return malformed(text, "the port must be a number from 1 to 65535");
  return TcpAddress{std::string(host), *number};
}

Result<TcpAddress> parse_bracketed(std::string_view text) {
  const std::size_t close = text.find("]:");
  if (close == std::string_view::npos) {
    return malformed(text, "an IPv6 address is written [address]:port");
  }
  const std::string_view host = text.substr(1, close - 1);
  if (!is_v6_with_scope(host)) {
    return malformed(text, "what stands in brackets is not an IPv6 address");
  }
  return with_port(text, host, text.substr(close + 2));
}

Result<UnixAddress> parse_unix(std::string_view text) {
  const std::string_view path = text.substr(kUnixPrefix.size());
  if (path.empty() || path.front() != '/') {
    return malformed(text, "the path of a Unix socket is absolute, as in unix:/run/app.sock");
  }
  if (path.size() > kMaxUnixPathBytes) {
    return malformed(text, "the path of a Unix socket has at most 107 bytes, this one has " +
                               std::to_string(path.size()));
  }
  return UnixAddress{std::string(path)};
}

Result<SystemdSocket> parse_systemd(std::string_view text) {
  const std::string_view name = text.substr(kSystemdPrefix.size());
  if (name.empty() || name.size() > kMaxSystemdNameBytes ||
      !std::all_of(name.begin(), name.end(), is_name_char)) {
    return malformed(text, "systemd: is followed by the socket's FileDescriptorName=");
  }
  return SystemdSocket{std::string(name)};
}

template <typename To, typename From>
Result<To> widen(Result<From> from) {
  if (!from.ok()) return from.error();
  return To(std::move(from).value());
}

// What a bind would use, so that two spellings of one address compare equal.
std::string bound_host(const TcpAddress& address) {
  std::string host = address.host;
  std::transform(host.begin(), host.end(), host.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (host == "localhost") return "127.0.0.1";
  if (auto v4 = canonical_literal(AF_INET, host)) return *v4;
  if (auto v6 = canonical_literal(AF_INET6, host)) return *v6;
  return host;
}

bool tcp_clash(const TcpAddress& one, const TcpAddress& other) {
  if (one.port != other.port) return false;
  const std::string a = bound_host(one);
  const std::string b = bound_host(other);
  const auto is_v6 = [](const std::string& host) { return host.find(':') != std::string::npos; };
  if (a == b || a == kEveryHost || b == kEveryHost) return true;
  return is_v6(a) == is_v6(b) && (a == "0.0.0.0" || b == "0.0.0.0" || a == "::" || b == "::");
}

}  // namespace

Result<TcpAddress> parse_tcp_address(std::string_view text) {
  if (text.empty()) return malformed(text, "it is empty; write host:port");
  if (text.front() == '[') return parse_bracketed(text);
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return malformed(text, "the port is missing; write host:port");
  }
  const std::string_view host = text.substr(0, colon);
  if (text.find("://") != std::string_view::npos) {
    return malformed(text, "it has a scheme; write host:port alone");
  }
  if (host.find(':') != std::string_view::npos) {
    return malformed(text, "an IPv6 address is written [address]:port");
  }
  if (const std::string fault = host_fault(host); !fault.empty()) return malformed(text, fault);
  return with_port(text, host, text.substr(colon + 1));
}

Result<TcpAddress> parse_tcp_listener(std::string_view text) {
  if (!text.starts_with("*:")) return parse_tcp_address(text);
  return with_port(text, kEveryHost, text.substr(2));
}

Result<Address> parse_address(std::string_view text) {
  if (text.starts_with(kUnixPrefix)) return widen<Address>(parse_unix(text));
  if (text.starts_with(kSystemdPrefix)) {
    return malformed(text, "a systemd socket can be listened on, not connected to");
  }
  return widen<Address>(parse_tcp_address(text));
}

Result<ListenAddress> parse_own_listener(std::string_view text) {
  Result<ListenAddress> parsed = parse_listen_address(text);
  if (kWithSystemd || !parsed.ok() || !std::holds_alternative<SystemdSocket>(*parsed))
    return parsed;
  return malformed(text, std::string(kNoSystemd) + ", which takes passed sockets; give an address");
}

Result<ListenAddress> parse_listen_address(std::string_view text) {
  if (text.starts_with(kUnixPrefix)) return widen<ListenAddress>(parse_unix(text));
  if (text.starts_with(kSystemdPrefix)) return widen<ListenAddress>(parse_systemd(text));
  return widen<ListenAddress>(parse_tcp_listener(text));
}

Result<ListenAddress> parse_intercept_address(std::string_view text) {
  if (text.starts_with(kUnixPrefix) || text.starts_with(kSystemdPrefix)) {
    return malformed(text, "intercepted connections come to a TCP port: write *:port");
  }
  Result<TcpAddress> address = parse_tcp_listener(text);
  if (!address) return malformed(text, "write *:port, as in *:15001");
  return widen<ListenAddress>(std::move(address));
}

std::string to_string(const TcpAddress& address) {
  const std::string port = ":" + std::to_string(address.port);
  if (address.host.find(':') != std::string::npos) return "[" + address.host + "]" + port;
  return address.host + port;
}

std::string to_string(const Address& address) {
  return std::visit([](const auto& a) { return to_string(ListenAddress(a)); }, address);
}

std::string to_string(const ListenAddress& address) {
  return std::visit(
      overloaded{[](const TcpAddress& tcp) { return to_string(tcp); },
                 [](const UnixAddress& path) { return std::string(kUnixPrefix) + path.path; },
                 [](const SystemdSocket& s) { return std::string(kSystemdPrefix) + s.name; }},
      address);
}

bool is_local(const ListenAddress& address) {
  const auto* tcp = std::get_if<TcpAddress>(&address);
  if (tcp == nullptr) return true;
  const std::string host = bound_host(*tcp);
  if (host == "::1") return true;
  return host.starts_with("127.") && canonical_literal(AF_INET, host).has_value();
}

bool clashes(const ListenAddress& one, const ListenAddress& other) {
  const auto* a = std::get_if<TcpAddress>(&one);
  const auto* b = std::get_if<TcpAddress>(&other);
  if (a != nullptr && b != nullptr) return tcp_clash(*a, *b);
  return one == other;
}

bool leads_to(const TcpAddress& target, const TcpAddress& own) {
  if (target.port != own.port) return false;
  if (target.host == own.host) return true;
  auto every = [](const std::string& host) {
    return host == "0.0.0.0" || host == "::" || host == kEveryHost;
  };
  auto loopback = [](const std::string& host) {
    return host == "localhost" || host == "::1" || host.rfind("127.", 0) == 0;
  };
  bool target_here = every(target.host) || loopback(target.host);
  if (every(own.host)) return target_here;
  // A name may mean any of them; all of 127.0.0.0/8 is this host's, each for itself.
  return target.host == "localhost" && (own.host == "127.0.0.1" || own.host == "::1");
}

}  // namespace holdfast
