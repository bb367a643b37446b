#include "common/core/lane_turns.h"

#include <algorithm>
#include <utility>

#include "common/core/tuning.h"

namespace holdfast {

void LaneTurns::pass_to(Time now, const Lane& lane) {
  holder_ = lane.name;
  since_ = now;
  greeting_since_ = kNever;
}

void LaneTurns::look(Time now, const std::vector<Lane>& waiting) {
  next_ = kNever;
  auto holder = std::find_if(waiting.begin(), waiting.end(),
                             [this](const Lane& each) { return each.name == holder_; });
  if (holder == waiting.end()) {
    // It is through, or gone.
    bool soon = now - std::min(greeting_since_, now) <= tuning::kSoonAnswered;
    if (!holder_.empty() && greeting_since_ != kNever && soon) {
      free_until_ = now + tuning::kTurnsFree;
    }
    holder_.clear();
    greeting_since_ = kNever;
    if (waiting.empty()) return;
    pass_to(now, waiting.front());
    holder = waiting.begin();
  }
  if (holder->greeting) {
    greeting_since_ = std::min(greeting_since_, now);
    return;
  }
  greeting_since_ = kNever;
  if (waiting.size() == 1) return;
  // Who does not get through must not hold up the others: its server may be another one.
  Time over = since_ + tuning::kLaneTurn + 4 * holder->round_trip;
  if (now >= over) {
    auto next = std::next(holder) == waiting.end() ? waiting.begin() : std::next(holder);
    over = now + tuning::kLaneTurn + 4 * next->round_trip;
    pass_to(now, *next);
  }
  next_ = over;
}

}  // namespace holdfast
