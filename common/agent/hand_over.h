// HandOver: this agent makes room for another program, or for the same one anew, which its keeper
// executes. All sockets stay open; nobody is told goodbye. For the next agent it is as if this one
// had been killed between two turns of its loops, when no call was under way.
#pragma once

#include <functional>
#include <string>

#include "common/admin/admin_server.h"
#include "common/io/loop.h"
#include "common/io/loop_thread.h"
#include "common/io/timer.h"
#include "common/keeper/page.h"
#include "common/log/log.h"

namespace holdfast {

class HandOver {
 public:
  HandOver(AgentKind kind, Loop& loop, Logger& logger, Page& page,
           std::function<LoopsPause()> pause);

  // To the program of this path; empty: to the one that the keeper was started by; kPark: to
  // whoever the service manager starts next. Happens a moment after the answer.
  CommandResult begin(const std::string& path);

  // True: the keeper has died, and whoever the service manager starts next is to go on.
  bool is_orphan() const;
  // Leaves everything with the service manager, now. Where it does not take it all ends by resets.
  [[noreturn]] void park_orphaned();

 private:
  [[noreturn]] void leave();

  AgentKind kind_;
  Logger& logger_;
  Page& page_;
  std::function<LoopsPause()> pause_;
  Loop& loop_;
  Timer timer_;
};

// The program's path without symbolic links, or why it is none to hand over to: who may talk to the
// admin socket must not by that get to run what he likes as the agent's user. So it is a program of
// the agent's name that only root and that user can have put where it is.
Result<std::string> trusted_program(const std::string& path, const std::string& name);

}  // namespace holdfast
