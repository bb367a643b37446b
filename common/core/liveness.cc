#include "common/core/liveness.h"

#include <algorithm>

namespace holdfast {

void Liveness::start(Time now, Duration heartbeat, Duration dead_after, Duration round_trip) {
  *this = Liveness{};
  heartbeat_ = heartbeat;
  dead_after_ = dead_after;
  round_trip_ = path_ = round_trip;
  last_heard_ = now;
}

void Liveness::doubt(Time now) {
  if (state_ != State::fresh) return;
  if (doubted_at_ == kNever) doubted_at_ = now;
  wrote(now);
}

void Liveness::measured(Duration round_trip) {
  latest_ = round_trip;
  // RFC 6298's smoothing: an eighth of each new sample.
  round_trip_ = round_trip_ == Duration{} ? round_trip : (round_trip_ * 7 + round_trip) / 8;
  if (path_ == Duration{} || round_trip < path_) path_ = round_trip;
  path_ += (round_trip - path_) / tuning::kPathMemory;
}

Duration Liveness::patience() const {
  return std::max(round_trip() * tuning::kSuspectRoundTrips, tuning::kSuspectAfter);
}

Duration Liveness::silent_patience() const {
  return std::max(path_ * tuning::kSuspectRoundTrips, tuning::kSuspectAfter);
}

Time Liveness::ask_at() const {
  if (doubted_at_ != kNever) return doubted_at_;
  Time silence = last_heard_ + heartbeat_;
  return written_since_ == kNever ? silence : std::min(silence, written_since_ + silent_patience());
}

Time Liveness::suspect_at() const {
  return asked_at_ + (last_heard_ > asked_at_ ? patience() : silent_patience());
}

Time Liveness::next_timeout() const {
  Time dead = last_heard_ + dead_after_;
  switch (state_) {
    case State::fresh:
      return std::min(dead, ask_at());
    case State::asked:
      return std::min(dead, suspect_at());
    case State::suspect:
      return dead;
  }
  return dead;
}

Liveness::Action Liveness::timeout(Time now) {
  Time due = next_timeout();
  if (now < due) return Action::none;
  if (now - due > tuning::kLateTurn && !excused_) {
    // We slept, so the peer's silence is not shown: wait anew, and ask at once.
    excused_ = true;
    last_heard_ = now;
    state_ = State::asked;
    asked_at_ = now;
    doubted_at_ = kNever;
    return Action::ping;
  }
  if (now >= last_heard_ + dead_after_) return Action::verify;
  if (state_ == State::fresh) {
    state_ = State::asked;
    asked_at_ = now;
    doubted_at_ = kNever;
    wrote(now);
    return Action::ping;
  }
  state_ = State::suspect;
  return Action::suspect;
}

}  // namespace holdfast
