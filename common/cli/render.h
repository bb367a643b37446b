// What an agent says, for people: a few plain lines and aligned tables.
#pragma once

#include <string>
#include <vector>

#include "common/admin/snapshot.h"
#include "common/cli/rates.h"

namespace holdfast {

struct RenderStyle {
  bool colour = false;
};

// `snapshot.reason` is shown as it is: parse_status() gives the whole sentence.
std::string render_status(const AgentSnapshot& snapshot, const RenderStyle& style);
// With rates, by the id of link or connection, there are columns for them.
std::string render_links(const std::vector<LinkSnapshot>& links, const RenderStyle& style,
                         const RateTable* rates = nullptr);
std::string render_connections(const std::vector<ConnectionSnapshot>& connections,
                               const RenderStyle& style, const RateTable* rates = nullptr);
// One connection's whole story. `link` is its link, where it is known.
std::string render_connection(const ConnectionSnapshot& connection, const LinkSnapshot* link,
                              const RenderStyle& style);
// "up 1.2 MiB/s, down 3.0 KiB/s"
std::string show_rate(const Rate& rate);

}  // namespace holdfast
