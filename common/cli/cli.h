// The command line of both programs: `PROG -c FILE` runs the agent, everything else is a
// subcommand, which finds its agent or config by itself (find_agent.h). `PROG --help` lists them;
// `PROG` alone prints the same, and exits with 64, because nothing runs then.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <variant>
#include <vector>

#include "common/admin/snapshot.h"
#include "common/cli/doctor.h"
#include "common/cli/find_agent.h"
#include "common/config/config.h"
#include "common/config/problem.h"
#include "common/config/report.h"
#include "common/config/sources.h"

namespace holdfast {

// What the programs exit with (sysexits.h where it has a number).
enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,
  kExitUsage = 64,
  kExitUnreachable = 69,
  kExitNotReady = 75,
  kExitPermission = 77,
  kExitConfig = 78,
};

using AgentConfig = std::variant<ClientConfig, ServerConfig>;  // the alternative of the kind

// A config's files as they were when an agent took them, and whether those that are there now come
// first.
struct KeptConfig {
  enum class Use : std::uint8_t { in_place_of_the_files, if_the_files_have_errors };

  std::vector<ConfigSource> sources;
  Use use = Use::in_place_of_the_files;
};

struct Program {
  AgentKind kind{};
  // Runs the agent in the foreground and returns the exit code. The config is valid; its warnings
  // are the agent's to log, and errors never get here. `path` is absolute, `sources` are its files.
  std::function<int(const AgentConfig& config, const std::string& path,
                    const std::vector<Problem>& warnings, const std::vector<ConfigSource>& sources)>
      run;
  // The config that an agent before this one had in force, if it is to be run with that.
  std::function<std::optional<KeptConfig>()> kept_config = nullptr;
  // Files that the kept config names cannot be used: calls `look` now and then until it is true, or
  // there is no more use in it. None: that is an error at once.
  std::function<void(const AgentConfig& config, const std::vector<Problem>& problems,
                     const std::function<bool()>& look)>
      wait_for_files = nullptr;
  // What is wrong with the certificates that a config names; for `check`, and before run. None:
  // nothing is looked at.
  std::function<std::vector<Problem>(const std::vector<TlsTable>& tables, const std::string& file)>
      check_certificates = nullptr;
  // What this process may not do and the config needs; likewise.
  std::function<std::vector<Problem>(const AgentConfig& config, const std::string& file)>
      check_capabilities = nullptr;
  AgentPlaces places{};
  // The steps of `doctor` after the config; `tell` is false at the one that is to be the last.
  std::function<void(const AgentConfig& config, const std::function<bool(Finding)>& tell)> examine =
      nullptr;
  // Calls `agent`, which loads the config and calls run, in a process of its own, and again when
  // that was killed; returns its exit code, there and here. None: there is one process.
  std::function<int(const std::function<int()>& agent)> keep = nullptr;
};

struct Display {
  bool terminal = false;  // standard output is one that can be drawn on
  bool colour = false;
};

// Prints to standard output and standard error. The process's exit code. Throws nothing.
int run_command_line(int argc, const char* const* argv, const Program& program);
// The same with other places to print to.
int run_command_line(int argc, const char* const* argv, const Program& program, std::ostream& out,
                     std::ostream& err, const Display& display);

}  // namespace holdfast
