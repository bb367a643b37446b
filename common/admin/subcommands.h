// What each subcommand does, once the command line is understood.
#pragma once

#include <ostream>
#include <string>

#include "common/admin/cli.h"
#include "common/admin/reload.h"

namespace holdfast {

struct Invocation {
  AgentKind kind{};
  std::string config_path;  // or:
  std::string socket;       // the agent's admin socket, without asking a config
  bool json = false;
  bool colour = false;
  std::ostream& out;
  std::ostream& err;
};

// They print, and return the exit code.
int do_check(const Invocation& call, const Program& program);
int do_show(const Invocation& call, const std::string& what);  // status, links, connections
int do_ready(const Invocation& call);
int do_command(const Invocation& call, const std::string& name, const std::string& id);
int do_genpsk(const Invocation& call);
int do_reload(const Invocation& call, const ReloadRequest& request);
// Loads the config as an agent needs it and runs it.
int do_run(const Invocation& call, const Program& program);

}  // namespace holdfast
