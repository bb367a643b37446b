// The states of a Link. See link.h.
#pragma once

#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/wire/cause.h"
#include "common/wire/frames.h"

namespace holdfast {

struct LinkStates {
  struct Detached {};
  struct Greeting {
    CarrierId carrier;
    Time since;
    Time moved_at;       // its last progress,
    bool moved = false;  // if there was any
    Time impatient_at;   // when another carrier is wanted beside this one
    Duration answer_in;  // since something moved; no answer by then is a sign that large
    Time unanswered_at;  // packets do not arrive
    bool impatient = false;
    bool welcomed = false;  // WELCOME is read, its table is not complete
    Welcome welcome;
    StreamId highest;
    std::vector<TableEntry> table;
  };
  struct Live {
    CarrierId carrier;
  };
  // Client: stands beside a suspect carrier, and has said nothing.
  struct Standby {
    CarrierId carrier;
    Duration round_trip;
    Time until;  // takes over then
  };
  struct Leaving {
    CarrierId carrier{};  // 0: none, there is nobody to tell
    Cause reason{};
    Time flush_until;      // streams may still flush
    Time close_at;         // the carrier goes then, GOODBYE or not
    bool flushed = false;  // flush_until has passed
    bool said = false;     // GOODBYE is in a gather
  };
  struct Ended {
    Cause cause;
  };

  using State = std::variant<Detached, Greeting, Live, Leaving, Ended>;
};

}  // namespace holdfast
