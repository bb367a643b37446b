// What the kernel must let this process do for a config, and how to be allowed it.
#pragma once

#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/config/problem.h"

namespace holdfast {

// One error of kind capability for each thing that this process may not do and the config needs;
// its hint has the line for the unit. Empty when all is well.
std::vector<Problem> missing_capabilities(const ClientConfig& config, const std::string& file);
std::vector<Problem> missing_capabilities(const ServerConfig& config, const std::string& file);

}  // namespace holdfast
