// Which loop each of a client agent's links is on.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "client-agent/client_link.h"

namespace holdfast {

// By loop.
using LinkSpread = std::vector<std::vector<ClientLinkOptions>>;

// `where`: the loop that has a link of this name already, which it stays on; nothing for a new one.
// A new one goes where its group has the fewest, then where the fewest are, then to the last loop:
// the first one also listens, and answers questions.
LinkSpread spread_links(std::vector<ClientLinkOptions> links, std::size_t loops,
                        const std::function<std::optional<std::size_t>(const std::string&)>& where);

}  // namespace holdfast
