// The names among the addresses that an agent listens on, looked up before its loop needs them.
#pragma once

#include <map>
#include <string>

#include "common/config/config.h"
#include "common/io/resolver.h"

namespace holdfast {

// Waits for the look-ups, up to two seconds: at the start, and on a reload's own thread. One that
// takes longer goes on in the agent.
std::map<std::string, FoundAddresses> look_up_listen_names(const ClientConfig& config);
std::map<std::string, FoundAddresses> look_up_listen_names(const ServerConfig& config);

}  // namespace holdfast
