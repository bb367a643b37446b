#include "common/core/lane_slots.h"

#include <algorithm>

#include "common/base/check.h"

namespace holdfast {

std::optional<unsigned> LaneSlots::take(Time now, unsigned end) {
  for (unsigned lane = 0; lane < std::min(end, kLanesOfALink); ++lane) {
    Slot& slot = slots_[lane];
    if (slot.holders != 0 || now < slot.free_at) continue;
    slot.holders = 1;
    return lane;
  }
  return std::nullopt;
}

void LaneSlots::give_back(unsigned lane, Time free_at) {
  Slot& slot = slots_.at(lane);
  HOLDFAST_CHECK(slot.holders != 0);
  slot.holders -= 1;
  slot.free_at = std::max(slot.free_at, free_at);
}

}  // namespace holdfast
