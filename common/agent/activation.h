// What a config takes from socket activation (listen = "systemd:NAME"), against what was passed in.
#pragma once

#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/config/config.h"
#include "common/config/problem.h"

namespace holdfast {

// Every systemd: address must have its socket, of a kind that fits there; the error names the key
// and the setting to change. The value: a warning for each name that was passed and that nothing
// listens on, since who connects there would wait for ever; and one where systemd waits to
// be told and this build cannot (base/with_systemd.h). `path`: the config file's, for people.
Result<std::vector<Problem>> check_activation(const ClientConfig& config, const std::string& path);
Result<std::vector<Problem>> check_activation(const ServerConfig& config, const std::string& path);

}  // namespace holdfast
