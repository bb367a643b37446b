// Which loop each of a client agent's links is on.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/net/client_link.h"

namespace holdfast {

// By loop.
using LinkSpread = std::vector<std::vector<ClientLinkOptions>>;

// `where`: the loop that has a link of this name already, which it stays on; nothing for a new one.
// A new one goes where its group has the fewest, then where the fewest are, then to the last loop:
// the first one also listens, and answers questions.
LinkSpread spread_links(std::vector<ClientLinkOptions> links, std::size_t loops,
                        const std::function<std::optional<std::size_t>(const std::string&)>& where);

// The loop's part of what is counted; at least 1. The first ones have what cannot be divided.
std::uint32_t part_of(std::uint32_t all, std::size_t loops, std::size_t loop);

}  // namespace holdfast
