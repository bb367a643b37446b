// A TCP connection's mark: its two ends as a number, by a key. Who has the key and sees the same
// two ends finds it again; to anybody else it says nothing. docs/PROTOCOL.md, ORIGIN.
//
// Ends that mean something on one host only (loopback, link-local, an address that talks to itself)
// are taken together with the host and its network namespace: 127.0.0.1 of another host is another
// address.
#pragma once

#include <cstdint>
#include <optional>

#include "common/base/endpoint.h"
#include "common/base/id128.h"
#include "common/base/ids.h"

namespace holdfast {

struct Mark {
  std::uint64_t value = 0;  // 0: none
  // No other connection has these ends now. Private addresses (RFC 1918 and the like) are given
  // out again and again: two networks may have a connection each with the same ends.
  bool unique = false;
};

// Where addresses of one host belong: the boot id of the kernel and the number of its network
// namespace.
struct HostScope {
  Id128 boot_id{};
  std::uint64_t network_namespace = 0;
};
// Nothing where the host does not tell.
const std::optional<HostScope>& this_host();

// Of the connection that `from` made to `to`. None where these are no TCP connection's ends, or
// mean something on one host only and `host` is not known. Some microseconds.
Mark connection_mark(const MarkKey& key, const Endpoint& from, const Endpoint& to,
                     const std::optional<HostScope>& host = this_host());

}  // namespace holdfast
