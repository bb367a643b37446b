// `stopping`, of the units' ExecStop=: tells whether this is a stop or a restart, which no signal
// does. At a restart the agent's connections wait for the next process with the service manager.
#include <signal.h>
#include <stdio.h>

#include <memory>
#include <sstream>
#include <thread>

#include "common/admin/admin_server.h"
#include "common/cli/subcommands.h"

namespace holdfast {
namespace {

constexpr std::chrono::milliseconds kLookAgain{5};
constexpr int kMostLooks = 800;  // four seconds; the units give five

// What the service manager is about to do with the unit: "stop", "restart"; "": it does not say.
std::string job_of(const std::string& unit) {
  using Pipe = std::unique_ptr<FILE, int (*)(FILE*)>;
  Pipe jobs(popen("systemctl list-jobs --full --no-legend 2>/dev/null", "r"), pclose);
  if (jobs == nullptr) return "";
  std::string text;
  char buffer[4096];
  while (std::size_t got = fread(buffer, 1, sizeof buffer, jobs.get())) text.append(buffer, got);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string id;
    std::string name;
    std::string type;
    if (words >> id >> name >> type && name == unit) return type;
  }
  return "";
}

}  // namespace

int do_stopping(const Invocation& call, const std::string& unit) {
  if (job_of(unit) != "restart") return kExitOk;  // the signal that follows says the rest
  auto status = ask_status(call);
  if (int* code = std::get_if<int>(&status)) return *code;
  auto keeper = static_cast<pid_t>(std::get<AgentSnapshot>(status).keeper_pid);
  if (keeper <= 0) return complain(call, "it has no keeper: its connections end", kExitFailed);
  std::ostringstream unheard;
  Invocation commanding{call.kind,    call.config_path, call.socket, false,
                        call.display, unheard,          call.err};
  if (int code = do_command(commanding, "hand_over", kPark); code != kExitOk) return code;
  for (int look = 0; look < kMostLooks; ++look) {
    if (kill(keeper, 0) != 0) return kExitOk;
    std::this_thread::sleep_for(kLookAgain);
  }
  return complain(call, "the agent does not make room", kExitFailed);
}

}  // namespace holdfast
