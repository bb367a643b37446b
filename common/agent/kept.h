// What an agent owes the keeper that made it (common/keeper).
#pragma once

#include <functional>
#include <string>

#include "common/admin/snapshot.h"
#include "common/io/loop.h"
#include "common/io/loop_thread.h"
#include "common/io/timer.h"
#include "common/keeper/page.h"
#include "common/log/log.h"

namespace holdfast {

// What `status` says of its keeper and of why it was started.
void add_keeper(AgentSnapshot& snapshot, const Page& page);

// There are connections to go on with, and who exits before he serves, closing nothing, is followed
// by another agent (keeper.h).
bool begins_again(const Page& page);

// Logs how the agent before this one died or made room, if one did.
void tell_of_predecessor(Logger& logger, const Page& page);

// Logs that the next agent will have nothing of this one, where that has a `reason`.
void tell_of_unkept(Logger& logger, const Page& page, const std::string& reason);

// A keeper that was killed is gone a moment before its agent: who starts another one at once finds
// that agent's sockets. Waits until nobody answers at the admin socket, for at most a second,
// unless whoever does has a keeper that lives: he stays. Before the loop turns.
void wait_for_dying_agent(const std::string& admin_socket);

// Signals that waited since the keeper made this process are taken from now on.
void listen_to_keeper();
// They wait again: what is told twice (by the keeper, and by who told both) does not kill a process
// that is about to end in order.
void listen_no_more();

// Shows the keeper that all loops turn, as often as it wants to see it; one that is stuck holds up
// the first. Without a keeper nothing is shown.
class Pulse {
 public:
  Pulse(Loop& loop, Page& page, std::function<LoopsPause()> pause);

 private:
  void beat();

  Loop& loop_;
  Page& page_;
  std::function<LoopsPause()> pause_;
  Timer timer_;
};

}  // namespace holdfast
