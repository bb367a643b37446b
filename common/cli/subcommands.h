// What each subcommand does, once the command line is understood.
#pragma once

#include <optional>
#include <ostream>
#include <string>
#include <variant>

#include "common/admin/connection_query.h"
#include "common/admin/reload.h"
#include "common/cli/cli.h"
#include "common/cli/http_client.h"

namespace holdfast {

struct Invocation {
  AgentKind kind{};
  std::string config_path;  // or:
  std::string socket;       // the agent's admin socket, without asking a config
  bool json = false;
  Display display;
  std::ostream& out;
  std::ostream& err;
};

// They print, and return the exit code.
int do_check(const Invocation& call, const Program& program);
struct ShowOptions {
  QueryWords chosen;              // connections
  std::optional<Duration> watch;  // again and again
};
// status, links, connections
int do_show(const Invocation& call, const std::string& what, const ShowOptions& options);
int do_connection(const Invocation& call, const std::string& id);
int do_log_level(const Invocation& call, const std::string& level);  // empty: prints it
// With a service: and it is granted, and its target answered last, as far as that is known.
int do_ready(const Invocation& call, const std::string& service);
int do_command(const Invocation& call, const std::string& name, const std::string& id);
struct DrainWords {
  bool until_empty = false;
  bool wait = false;  // until the agent has ended, or drains no more
};
struct HandOverWords {
  std::string program;  // empty: the one that runs
};
int do_hand_over(const Invocation& call, const HandOverWords& words);
// Of the units' ExecStop=.
int do_stopping(const Invocation& call, const std::string& unit);
int do_drain(const Invocation& call, const DrainWords& words);
int do_connect(const Invocation& call, const std::string& service);
int do_doctor(const Invocation& call, const Program& program);
// Empty: a file in the current folder, with the time in its name.
int do_support(const Invocation& call, const Program& program, const std::string& out);
int do_genpsk(const Invocation& call);
int do_reload(const Invocation& call, const ReloadRequest& request);
enum class NftAction { print, apply, remove };
int do_nft(const Invocation& call, NftAction action);
// Loads the config as an agent needs it and runs it.
int do_run(const Invocation& call, const Program& program);

// The config as an agent needs it, and all that is wrong with it: with what its certificates hold,
// and what the kernel lets it do.
struct CheckedConfig {
  std::optional<AgentConfig> config;  // none, where there are errors
  std::vector<Problem> problems;
  std::optional<std::string> admin_socket;
};
CheckedConfig check_config(const Program& program, const std::string& path);

// The config without a look at the files that it names, or the exit code after saying what is
// wrong.
std::variant<AgentConfig, int> load_for(const Invocation& call);

// The agent's answer, or the exit code after saying why there is none.
std::variant<HttpAnswer, int> ask(const Invocation& call, const std::string& method,
                                  const std::string& target);
// What the agent is and has now, or the exit code likewise.
std::variant<AgentSnapshot, int> ask_status(const Invocation& call);
// Prints the reason after the program's name, and returns the code.
int complain(const Invocation& call, const std::string& reason, int code);
// Says what the agent objects to, and returns the exit code.
int fail(const Invocation& call, const HttpAnswer& answer);

}  // namespace holdfast
