// SegmentLimit: how large the segments of carriers to one address may be, by what became of earlier
// ones.
//
//   none --barren--> 536, tried --a dial stands--> 536 --a while--> 1200 --a while--> none
//    ^                    |                         ^                |
//    +----no dial stands--+                         +----barren------+ (and the while is doubled)
//
// A limit counts when a carrier is dialled (TCP_MAXSEG in tcp(7)) and holds for both directions,
// since the SYN tells it. What looked like a path that swallows large packets was an outage if no
// dial stands soon after.
#pragma once

#include "common/base/time.h"

namespace holdfast {

class SegmentLimit {
 public:
  // Bytes that a dial's segments may have; 0: as many as the path says.
  int for_dial(Time now);
  // A carrier to the address was established and delivered nothing.
  void barren(Time now);
  // A dial with the limit stands.
  void stands() { tried_ = false; }

 private:
  int bytes_ = 0;
  bool tried_ = false;  // no dial has stood with it yet
  Time since_{};
  Duration keep_{};
};

}  // namespace holdfast
