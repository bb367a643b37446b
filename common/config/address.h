// Addresses as they are written in a config file:
//
//   host:port        a name, an IPv4 literal; "localhost:5432", "198.51.100.10:7443"
//   [v6]:port        an IPv6 literal, with %scope where needed; "[fe80::1%eth0]:7443"
//   unix:/path       a Unix stream socket; the path is absolute and fits sockaddr_un (107 bytes)
//   *:port           every address, of both families; only to listen on
//   systemd:NAME     a socket that systemd passed in (FileDescriptorName=NAME); only to listen on
//
// Ports are 1..65535. A name is not looked up here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "common/base/result.h"

namespace holdfast {

struct TcpAddress {
  std::string host;  // without brackets
  std::uint16_t port = 0;
  std::string written_at{};  // key and place in the config, for messages; makes no other address
  bool operator==(const TcpAddress& other) const {
    return host == other.host && port == other.port;
  }
};
struct UnixAddress {
  std::string path;
  bool operator==(const UnixAddress&) const = default;
};
struct SystemdSocket {
  std::string name;
  bool operator==(const SystemdSocket&) const = default;
};

using Address = std::variant<TcpAddress, UnixAddress>;
// Whether who connects to `target` from this host meets who listens at `own`, as far as the two
// tell without asking the host for its addresses.
bool leads_to(const TcpAddress& target, const TcpAddress& own);

using ListenAddress = std::variant<TcpAddress, UnixAddress, SystemdSocket>;

// Longest path that sockaddr_un.sun_path holds with its final zero (unix(7)).
inline constexpr std::size_t kMaxUnixPathBytes = 107;

// The error says what is wrong with the text and how to write it.
Result<TcpAddress> parse_tcp_address(std::string_view text);
// Also "*:port".
Result<TcpAddress> parse_tcp_listener(std::string_view text);
Result<Address> parse_address(std::string_view text);
Result<ListenAddress> parse_listen_address(std::string_view text);
// The same for what this agent is to listen on: without libsystemd a passed socket is refused.
Result<ListenAddress> parse_own_listener(std::string_view text);

// For intercepted connections: TCP alone.
Result<ListenAddress> parse_intercept_address(std::string_view text);
// "*:port" as an address.
inline constexpr const char* kEveryHost = "*";

// The text form that the parsers above read.
std::string to_string(const TcpAddress& address);
std::string to_string(const Address& address);
std::string to_string(const ListenAddress& address);

// True when only this host can reach it: 127.0.0.0/8, ::1, the name localhost, or a Unix socket.
// A systemd socket counts as local: its own unit says where it listens.
bool is_local(const ListenAddress& address);

// True when binding both would fail: the same address, or a wildcard of the same family and port.
bool clashes(const ListenAddress& one, const ListenAddress& other);

}  // namespace holdfast
