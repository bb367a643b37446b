// Files that the config in force names, keys above all, and that cannot be used when an agent goes
// on from another one's state: a credential not mounted yet, a directory being rewritten.
#pragma once

#include <functional>
#include <vector>

#include "common/cli/cli.h"
#include "common/config/problem.h"

namespace holdfast {

// As long as a peer waits for links: a server's longest grace, or for a client, which is told its
// server's by the server, the default.
Duration patience_of(const ClientConfig& config);
Duration patience_of(const ServerConfig& config);

// Logs what is wrong (key_unreadable), and calls `look` until it is true or the patience is over.
// The service manager is kept content meanwhile. Before the process has a loop; a signal ends it.
// `config` is as good as it was, but for those files.
void wait_for_files(const AgentConfig& config, const std::vector<Problem>& problems,
                    const std::function<bool()>& look);

}  // namespace holdfast
