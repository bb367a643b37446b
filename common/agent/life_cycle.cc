#include "common/agent/life_cycle.h"

#include <utility>

namespace holdfast {

LifeCycle::LifeCycle(Loop& loop, std::function<void()> late)
    : loop_(loop), timer_(loop.timers(), std::move(late)) {}

void LifeCycle::wait_until(Time deadline) {
  deadline_ = deadline;
  timer_.arm(deadline);
}

bool LifeCycle::drain(DrainUntil until, Duration patience) {
  if (!home()) return false;
  state_ = State::draining;
  wait_until(until == DrainUntil::timeout ? loop_.now() + patience : kNever);
  return true;
}

bool LifeCycle::undrain() {
  if (!home()) return false;
  state_ = State::running;
  wait_until(kNever);
  return true;
}

bool LifeCycle::leave() {
  if (state_ == State::leaving || state_ == State::stopped) return false;
  state_ = State::leaving;
  wait_until(loop_.now() + kLeavePatience);
  return true;
}

bool LifeCycle::drained(bool idle) const {
  bool late = deadline_ != kNever && !timer_.armed();
  return state_ == State::draining && (idle || late);
}

bool LifeCycle::stopped(bool gone) {
  if (state_ != State::leaving || (!gone && timer_.armed())) return false;
  state_ = State::stopped;
  return true;
}

}  // namespace holdfast
