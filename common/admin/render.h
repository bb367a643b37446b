// What an agent says, for people: a few plain lines and aligned tables.
#pragma once

#include <string>
#include <vector>

#include "common/admin/snapshot.h"

namespace holdfast {

struct RenderStyle {
  bool colour = false;
};

// `snapshot.reason` is shown as it is: parse_status() gives the whole sentence.
std::string render_status(const AgentSnapshot& snapshot, const RenderStyle& style);
std::string render_links(const std::vector<LinkSnapshot>& links, const RenderStyle& style);
std::string render_connections(const std::vector<ConnectionSnapshot>& connections,
                               const RenderStyle& style);

}  // namespace holdfast
