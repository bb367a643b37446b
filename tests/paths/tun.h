// TUN devices in network namespaces: what the kernel sends into one is read here, one packet a
// read. Without offloads (no IFF_VNET_HDR): a packet is as large as on a wire.
#pragma once

#include <string>

#include "common/base/result.h"

namespace holdfast::paths {

// A new device in the namespace of that name (/run/netns); reads do not block. The device goes with
// the descriptor.
Result<int> open_tun(const std::string& space, const std::string& device);

}  // namespace holdfast::paths
