// LaneSlots: which lanes of one client's link there are.
//
// Lanes are links of one [links.NAME], each in a slot of its own; the first is lane 0. A lane that
// has ended gives its slot to another one only when the server has nothing of it any more: when it
// was told goodbye, or when its grace is over there, too.
#pragma once

#include <array>
#include <optional>

#include "common/base/time.h"
#include "common/wire/constants.h"

namespace holdfast {

class LaneSlots {
 public:
  // Takes the lowest that is free, but none from `end` on; nothing: there is none.
  std::optional<unsigned> take(Time now, unsigned end = kLanesOfALink);
  // Takes this one, whoever has it: one that ended may still be there while its successor comes.
  void take_again(unsigned lane) { slots_.at(lane).holders += 1; }
  // One of its holders is gone; the server may have something of it until `free_at`.
  void give_back(unsigned lane, Time free_at);
  bool taken(unsigned lane) const { return slots_.at(lane).holders != 0; }

 private:
  struct Slot {
    unsigned holders = 0;
    Time free_at{};
  };
  std::array<Slot, kLanesOfALink> slots_{};
};

}  // namespace holdfast
