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
  return std::max(round_trip() * tuning::kSuspectRoundTrips, tuning::kSuspectAfter) *
         (1 << doublings_);
}

Duration Liveness::silent_patience() const {
  Duration own = std::max(path_ * tuning::kSuspectRoundTrips, tuning::kSuspectAfter);
  return std::max(own, 2 * beside_) * (1 << doublings_);
}

Time Liveness::ask_at() const {
  if (doubted_at_ != kNever) return doubted_at_;
  Time silence = last_heard_ + heartbeat_;
  return written_since_ == kNever ? silence : std::min(silence, written_since_ + silent_patience());
}

Time Liveness::see_at() const {
  return unseen_since_ == kNever ? kNever : unseen_since_ + heartbeat_;
}

Time Liveness::suspect_at() const {
  Duration patient = last_heard_ > asked_at_ ? patience() : silent_patience();
  return std::max(asked_at_, moved_at_) + std::max(patient, progress_.slow());
}

Time Liveness::next_timeout() const {
  Time dead = dead_at();
  switch (state_) {
    case State::fresh:
      return std::min({dead, ask_at(), see_at()});
    case State::asked:
      return std::min({dead, suspect_at(), look_at_});
    case State::suspect:
      return std::min(dead, look_at_);
  }
  return dead;
}

void Liveness::ask(Time now) {
  state_ = State::asked;
  asked_at_ = now;
  doubted_at_ = kNever;
  progress_.asked();
  look_at_ = kNever;
}

bool Liveness::give_up(Time now) {
  bool fresh = state_ == State::fresh;
  if (fresh) {
    ask(now);
    wrote(now);
  }
  become_suspect();
  return fresh;
}

void Liveness::become_suspect() {
  if (state_ == State::suspect) return;
  state_ = State::suspect;
  silent_since_ = std::max(believed_at_, std::min(last_heard_, asked_at_));
}

bool Liveness::pong(Time now, std::uint64_t token) {
  std::optional<Duration> round_trip = pings_.answer(now, token);
  if (!round_trip) return false;
  answered();
  measured(*round_trip);
  return true;
}

void Liveness::report(Time now, const PathReport& path) {
  if (state_ == State::fresh) {
    if (now < see_at()) return;
    unseen_since_ = path.queued == 0 ? kNever : now;
    if (path.timeouts >= tuning::kStuckTimeouts) doubt(now);
    return;
  }
  look_at_ = now + tuning::kLookEvery;
  beside_ = path.beside;
  if (!progress_.report(path, silent_patience())) return;
  moved_at_ = now;
  if (state_ != State::suspect) return;
  state_ = State::asked;
  believed_at_ = now;
}

Liveness::Action Liveness::timeout(Time now) {
  if (now < next_timeout()) return Action::none;
  if (now >= see_at()) unseen_since_ = kNever;  // the kernel says nothing
  // A look is no verdict: one that comes late has cost nobody anything.
  Time due = dead_at();
  if (state_ == State::fresh) due = std::min(due, ask_at());
  if (state_ == State::asked) due = std::min(due, suspect_at());
  if (state_ == State::fresh && now < due) return Action::none;
  if (now >= due && now - due > tuning::kLateTurn && !excused_) {
    // We slept, so the peer's silence is not shown: wait anew, and ask at once.
    excused_ = true;
    last_heard_ = now;
    ask(now);
    return Action::ping;
  }
  if (now >= dead_at()) return Action::verify;
  if (state_ == State::fresh) {
    ask(now);
    wrote(now);
    return Action::ping;
  }
  if (look_at_ != kNever) look_at_ = now + tuning::kLookEvery;
  if (state_ == State::suspect || now < suspect_at()) return Action::none;
  become_suspect();
  return Action::suspect;
}

}  // namespace holdfast
