// The client agent: config in, a ClientDriver with log and admin interface around it.
#pragma once

#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/config/problem.h"
#include "common/config/sources.h"
#include "common/keeper/page.h"

namespace holdfast {

// Runs in the foreground until it is stopped. The process's exit code. `page`: the keeper's, or an
// empty one.
int run_client_agent(const ClientConfig& config, const std::string& config_path,
                     const std::vector<Problem>& warnings, const std::vector<ConfigSource>& sources,
                     Page& page);

}  // namespace holdfast
