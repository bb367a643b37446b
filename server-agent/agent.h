// The server agent: config in, a ServerDriver with log and admin interface around it.
#pragma once

#include <string>

#include "common/config/config.h"

namespace holdfast {

// Runs in the foreground until it is stopped. The process's exit code.
int run_server_agent(const ServerConfig& config, const std::string& config_path);

}  // namespace holdfast
