#include "common/agent/hand_over.h"

#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <system_error>

#include "common/cli/cli.h"
#include "common/keeper/parking.h"
#include "common/keeper/process.h"

namespace holdfast {
namespace {

using Outcome = CommandResult::Outcome;

// The answer is on its way by then.
constexpr Duration kAfterAnswer = milliseconds(50);
constexpr Duration kLastLines = milliseconds(200);

bool only_ours(const struct stat& info) {
  bool owner = info.st_uid == 0 || info.st_uid == geteuid();
  bool others_write = (info.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  bool kept_apart = S_ISDIR(info.st_mode) && (info.st_mode & S_ISVTX) != 0;  // as /tmp
  return owner && (!others_write || kept_apart);
}

}  // namespace

Result<std::string> trusted_program(const std::string& path, const std::string& name) {
  if (path.empty() || path[0] != '/') return Error{"\"" + path + "\" is no absolute path"};
  char resolved[PATH_MAX];
  if (realpath(path.c_str(), resolved) == nullptr) {
    return Error{path + ": " + std::generic_category().message(errno)};
  }
  std::string real = resolved;
  if (real.size() >= kMostPathBytes) return Error{path + " is too long"};
  if (real.substr(real.rfind('/') + 1) != name) return Error{real + " is not called " + name};
  for (std::string part = real; !part.empty(); part.resize(part.rfind('/'))) {
    struct stat info {};
    if (stat(part.c_str(), &info) != 0 || !only_ours(info)) {
      return Error{part + " can be changed by others than root and the agent's user"};
    }
  }
  if (access(real.c_str(), X_OK) != 0)
    return Error{real + " cannot be executed by the agent's user"};
  return real;
}

HandOver::HandOver(AgentKind kind, Loop& loop, Logger& logger, Page& page,
                   std::function<LoopsPause()> pause)
    : kind_(kind),
      logger_(logger),
      page_(page),
      pause_(std::move(pause)),
      loop_(loop),
      timer_(loop.timers(), [this] { leave(); }) {}

CommandResult HandOver::begin(const std::string& path) {
  if (page_.keeper_pid == 0) return {Outcome::failed, "it has no keeper (HOLDFAST_KEEPER=no)"};
  if (page_.wish != 0) return {Outcome::failed, "it is about to hand over already"};
  std::string program;
  bool parks = path == kPark;
  if (parks && !has_service_manager()) {
    return {Outcome::failed, "no service manager started it (NOTIFY_SOCKET is not set)"};
  }
  if (!path.empty() && !parks) {
    Result<std::string> trusted = trusted_program(path, std::string(program_name(kind_)));
    if (!trusted) return {Outcome::failed, trusted.error().message};
    program = *trusted;
  }
  std::memcpy(page_.next_program, program.c_str(), program.size() + 1);
  StartReason wish = parks          ? StartReason::parked
                     : path.empty() ? StartReason::restart
                                    : StartReason::upgrade;
  page_.wish = static_cast<std::uint32_t>(wish);
  logger_.event(LogLevel::info, "handing_over",
                {{"reason", to_string(wish)},
                 {"program", program.empty() ? std::string(page_.program) : program}});
  timer_.arm(loop_.now() + kAfterAnswer);
  return {Outcome::done, "handing over"};
}

bool HandOver::is_orphan() const {
  return page_.parks_orphaned != 0 && getppid() != page_.keeper_pid;
}

void HandOver::park_orphaned() {
  LoopsPause none_turns = pause_();
  logger_.event(LogLevel::error, "handing_over",
                {{"reason", to_string(StartReason::orphaned)}, {"program", page_.program}});
  page_.death = {page_.keeper_pid, 0, 0, 0, read_boot_clock().time_since_epoch().count() * 1000};
  Status parked = park(page_, StartReason::orphaned);
  if (!parked) {
    logger_.event(LogLevel::error, "hand_over_failed",
                  {{"program", page_.program},
                   {"reason", parked.error().message},
                   {"follows", "its connections are reset"}});
  }
  logger_.flush(kLastLines);
  if (!parked) end_by_signal(SIGKILL);
  _exit(kExitOk);
}

void HandOver::leave() {
  if (is_orphan()) park_orphaned();
  LoopsPause none_turns = pause_();
  logger_.flush(kLastLines);
  _exit(kExitHandOver);  // nothing is closed, said or removed
}

}  // namespace holdfast
