#include "common/keeper/page.h"

namespace holdfast {

std::string_view to_string(StartReason reason) {
  switch (reason) {
    case StartReason::first:
      return "first";
    case StartReason::killed:
      return "killed";
    case StartReason::crashed:
      return "crashed";
    case StartReason::upgrade:
      return "upgrade";
    case StartReason::restart:
      return "restart";
    case StartReason::parked:
      return "parked";
    case StartReason::rolled_back:
      return "rolled_back";
    case StartReason::orphaned:
      return "orphaned";
  }
  return "unknown";
}

Inheritance inheritance_of(const Page& page) {
  Inheritance found;
  found.reason = page.reason;
  std::optional<StateWord> state = decoded_state(page.state.load(std::memory_order_relaxed));
  found.discarded = state && page.discard != 0;
  if (!found.discarded) found.state = state;
  // Without a state there is no other config than the file's.
  found.config_from_file = page.config_from_file != 0 || !found.state;
  found.death = page.death;
  found.deaths_in_row = page.deaths_in_row;
  return found;
}

bool goes_on(const Page& page) {
  return page.reason != StartReason::first && inheritance_of(page).state.has_value();
}

}  // namespace holdfast
