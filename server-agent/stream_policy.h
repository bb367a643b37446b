// What a server lets the streams of one client agent have, beyond the services it may name. The
// client agent says where a stream comes from and, for intercepted connections, where it wants to
// go: nothing of that is proven, and all of it is checked here.
#pragma once

#include <optional>
#include <vector>

#include "common/base/endpoint.h"
#include "common/base/network.h"
#include "common/wire/cause.h"

namespace holdfast {

struct StreamGrants {
  std::vector<AddressPattern> allow;  // destinations; none: nothing
  // Where the client's applications may be. Nothing: anywhere, for services that are told of it in
  // a header; nowhere, for those that are connected to from there.
  std::optional<std::vector<Network>> sources;
};

// May a stream go there? Cause::none, or why not. The server's loopback is reached only by a
// pattern that names it: "0.0.0.0/0:*" does not stand for it.
Cause check_destination(const StreamGrants& grants, const Endpoint& destination);

enum class SourceUse { none, told, bound };  // in a header; as the address that a socket has
Cause check_source(const StreamGrants& grants, const Endpoint& source, SourceUse use);

}  // namespace holdfast
