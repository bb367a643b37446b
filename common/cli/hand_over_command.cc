// `upgrade` and `restart`: the agent makes room for another program, or for the same one anew.
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>
#include <thread>

#include "common/admin/snapshot_json.h"
#include "common/cli/subcommands.h"
#include "common/config/files.h"
#include "common/log/escape.h"

namespace holdfast {
namespace {

constexpr std::chrono::milliseconds kLookAgain{20};
constexpr int kMostLooks = 1500;  // half a minute

// Its exit code; 127 where it cannot be executed. What it says appears where this process speaks.
int run_program(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  std::vector<std::string> copies = words;
  for (std::string& each : copies) pointers.push_back(each.data());
  pointers.push_back(nullptr);
  pid_t child = fork();
  if (child == 0) {
    dup2(STDERR_FILENO, STDOUT_FILENO);
    execv(pointers[0], pointers.data());
    _exit(127);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return 127;
  return WEXITSTATUS(status);
}

// 0, or the exit code after saying why not.
int judge_program(const Invocation& call, const std::string& program,
                  const AgentSnapshot& running) {
  if (run_program({program, "--can-read", running.state_format}) != 0) {
    return complain(call,
                    program + " cannot go on with what runs here (state " + running.state_format +
                        "); nothing has changed",
                    kExitFailed);
  }
  int checked = run_program({program, "check", "-c", running.config_path});
  if (checked == kExitConfig || checked == kExitUsage) {
    return complain(call, "the config has mistakes; nothing has changed", checked);
  }
  return kExitOk;
}

// The next agent's status; none: it did not come. Its admin socket is the one that was asked
// before, or that of its config, which may name another one by now.
std::optional<AgentSnapshot> wait_for_next(const Invocation& call, const AgentSnapshot& before) {
  std::ostringstream unheard;  // for a moment nobody answers
  Invocation as_before{call.kind,    call.config_path, call.socket, false,
                       call.display, unheard,          unheard};
  Invocation by_config{call.kind, before.config_path, "", false, call.display, unheard, unheard};
  for (int look = 0; look < kMostLooks; ++look) {
    std::this_thread::sleep_for(kLookAgain);
    for (const Invocation* asking : {&as_before, &by_config}) {
      auto status = ask_status(*asking);
      auto* now = std::get_if<AgentSnapshot>(&status);
      if (now != nullptr && now->pid != before.pid) return *now;
    }
  }
  return std::nullopt;
}

}  // namespace

int do_hand_over(const Invocation& call, const HandOverWords& words) {
  auto status = ask_status(call);
  if (int* code = std::get_if<int>(&status)) return *code;
  const AgentSnapshot& before = std::get<AgentSnapshot>(status);
  std::string path =
      words.program.empty() ? "" : std::filesystem::absolute(words.program).lexically_normal();
  std::string program = path.empty() ? before.program : path;
  if (before.keeper_pid == 0) return complain(call, "it has no keeper to do that", kExitFailed);
  if (int code = judge_program(call, program, before); code != kExitOk) return code;
  std::ostringstream unheard;
  Invocation commanding{call.kind,    call.config_path, call.socket, false,
                        call.display, unheard,          call.err};
  if (int code = do_command(commanding, "hand_over", path); code != kExitOk) return code;
  std::optional<AgentSnapshot> now = wait_for_next(call, before);
  if (!now) return complain(call, "the next agent does not answer", kExitUnreachable);
  if (now->start_reason == "rolled_back") {
    return complain(call, program + " could not take over; the old program goes on", kExitFailed);
  }
  call.out << program_name(call.kind) << " " << escaped(before.version) << " (pid " << before.pid
           << ") handed over to " << escaped(now->version) << " (pid " << now->pid << ")\n";
  return kExitOk;
}

}  // namespace holdfast
