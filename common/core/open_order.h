// What a Link notes so that an OPEN follows what older streams of its service have to say, and its
// connect their ends. link_order.cc has the rules.
#pragma once

#include <cstdint>
#include <vector>

#include "common/core/effects.h"

namespace holdfast {

struct OpenOrder {
  // A stream that the first of the OPENs that wait follows.
  struct Ahead {
    StreamHandle stream;
    bool flows = false;          // it was being read when this was noted, and is
    std::uint64_t until = 0;     // else what is to be sent first, of one that goes on
    std::uint64_t position = 0;  // how far it was when it last moved
    Time moved_at{};
  };
  // A stream that is not connected to its target yet.
  struct Connect {
    StreamHandle stream;
    StreamHandle behind;  // whose end is on its way to the target
    Time since{};
    std::uint64_t position = 0;  // how far that was when it last moved
    Time moved_at{};
  };

  // Client: streams that may have more to say than a gather takes; some are through.
  std::vector<StreamHandle> talkers;
  StreamId follower;  // the OPEN that `ahead` is for
  std::vector<Ahead> ahead;

  // Server: streams whose application's end came; some are through.
  std::vector<StreamHandle> endings;
  std::vector<Connect> connects;  // in order of id

  Time look_at = kNever;  // then a wait may be over though nothing happened
};

}  // namespace holdfast
