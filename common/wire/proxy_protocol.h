// The PROXY protocol: a header before a connection's bytes that tells whose it really is.
//
// Source: haproxy's doc/proxy-protocol.txt, 2020/03/05; section numbers below are its own.
// Nothing here reads or writes a socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "common/base/bytes.h"
#include "common/base/endpoint.h"

namespace holdfast {

enum class ProxyVersion : std::uint8_t { v1 = 1, v2 = 2 };

// A line of version 1 with its CR LF (2.1).
inline constexpr std::size_t kMaxProxyLine = 107;
// What we take of a header of version 2, all of it: addresses of two Unix sockets are 216 bytes,
// certificates in TLVs some hundreds. The format itself goes to 64 KiB.
inline constexpr std::size_t kMaxProxyHeader = 4096;
// A unique id's (2.2.6).
inline constexpr std::size_t kMaxProxyUniqueId = 128;

// A whole header. Where the addresses are of different kinds, both are written as IPv6 (an IPv4
// one as ::ffff:a.b.c.d); a destination that is not known or no TCP is all zeroes with port 0. A
// source that is no TCP is UNKNOWN (version 1) or AF_UNSPEC (version 2): the receiver then takes
// what it sees. `unique_id` goes into version 2 alone, and only where it has 1 to 128 bytes.
std::string proxy_header(ProxyVersion version, const Endpoint& source, const Endpoint& destination,
                         std::string_view unique_id);

// What a header's beginning is.
struct ProxyIncomplete {};  // more bytes may make it a header; all that are there belong to it
struct ProxyMalformed {
  const char* reason;  // for people
};
struct ProxyHeader {
  std::size_t size = 0;  // bytes; what follows is the application's
  // False: the sender speaks for itself (LOCAL, as for health checks) or does not say for whom.
  bool on_behalf = false;
  Endpoint source;       // on behalf: TCP, or unix_socket
  Endpoint destination;  // likewise
};
using ProxyParse = std::variant<ProxyIncomplete, ProxyMalformed, ProxyHeader>;

// Reads a header of either version from the first byte on. Of any length, never throws; with
// kMaxProxyHeader bytes the answer is never ProxyIncomplete.
ProxyParse parse_proxy_header(Bytes bytes);

}  // namespace holdfast
