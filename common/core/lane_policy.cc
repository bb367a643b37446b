#include "common/core/lane_policy.h"

#include <algorithm>
#include <utility>

namespace holdfast {

void LanePolicy::look(Time now, unsigned count, std::vector<LaneState> lanes) {
  lanes_ = std::move(lanes);
  count_ = count;
  live_ = false;
  for (const LaneState& lane : lanes_) {
    if (!lane.live) continue;
    bool first = !std::exchange(live_, true);
    if (lane.troubled) troubled_at_ = now;
    // Of the least loaded one: what a new carrier will meet.
    round_trip_ = first ? lane.round_trip : std::min(round_trip_, lane.round_trip);
    least_ = first ? lane.least_round_trip : std::min(least_, lane.least_round_trip);
  }
  troubled_ = troubled_at_ && now - *troubled_at_ < tuning::kTroubleKept;
}

unsigned LanePolicy::wanted() const {
  std::size_t bulk = 0;
  bool others = false;
  for (const LaneState& lane : lanes_) {
    bulk += lane.view.bulk;
    others = others || (lane.view.busy && lane.view.bulk == 0);
  }
  if (bulk == 0 || !troubled_) return first_;
  auto wanted = static_cast<unsigned>(std::min<std::size_t>(bulk + (others ? 2 : 1), most_));
  return std::max(wanted, first_);
}

unsigned LanePolicy::missing(Time now) const {
  unsigned wish = wanted();
  return may_open(now) && wish > count_ ? wish - count_ : 0;
}

std::optional<std::string> LanePolicy::idle(Time now) const {
  if (count_ <= wanted()) return std::nullopt;
  const LaneState* found = nullptr;
  for (const LaneState& lane : lanes_) {
    bool goes = lane.lane >= first_ && lane.view.streams == 0 &&
                now - lane.view.empty_since >= tuning::kLaneIdle;
    if (goes && (found == nullptr || lane.lane > found->lane)) found = &lane;
  }
  if (found == nullptr) return std::nullopt;
  return found->name;
}

bool LanePolicy::opens_for_another(Time now) const {
  return may_open(now) && (troubled_ || least_ >= tuning::kShortPath);
}

Duration LanePolicy::patience(bool bulk) const {
  // A connect, TLS and HELLO: a round trip each.
  Duration stands = round_trip_ * 7 / 2 + milliseconds(10);
  if (stands > tuning::kLaneWait && !bulk) return Duration{};
  return std::clamp<Duration>(stands * 3, tuning::kLaneWait, tuning::kLaneWait * 2);
}

}  // namespace holdfast
