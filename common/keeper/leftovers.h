// What a dead agent left in the table of descriptors that its keeper shares.
#pragma once

#include <vector>

#include "common/base/descriptors.h"
#include "common/keeper/page.h"

namespace holdfast {

// Notes what is open now, for close_leftovers(). Before the first agent.
void note_started_with(Page& page);

// Closes all that no agent was started with: first the sets of events, which hold on to what is in
// them, then the rest. Sockets whose linger says so are reset.
void close_leftovers(const Page& page);

// All of these but the sets of events: what the next agent can use.
std::vector<int> agents_descriptors(const Page& page);

// What is open stays open over an exec. False: not all of it.
bool keep_over_exec();

}  // namespace holdfast
