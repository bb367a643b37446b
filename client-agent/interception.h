// Where an application wanted to go whose connection was turned to us on its way.
#pragma once

#include <vector>

#include "common/base/endpoint.h"
#include "common/base/network.h"
#include "common/base/result.h"
#include "common/io/socket.h"

namespace holdfast {

enum class ListenMode : std::uint8_t {
  explicit_address,  // applications connect to the listener's own address
  redirect,          // nftables changed the destination: conntrack remembers it (SO_ORIGINAL_DST)
  tproxy,            // the destination was left alone: it is the socket's own address
};

// The error says why it is not known: as when somebody connects to the listener's own port.
Result<Endpoint> original_destination(int descriptor, ListenMode mode);

// How narrow the narrowest of the patterns is that fits; larger is narrower, 0: none does.
std::uint32_t narrowest_match(const std::vector<AddressPattern>& patterns, const Endpoint& where);

}  // namespace holdfast
