#include "common/core/dialer.h"

#include <algorithm>

namespace holdfast {

void Dialer::set_need(Time now, Need need) {
  if (need == need_) return;
  bool rises = need > need_;
  bool from_none = need_ == Need::none;
  if (from_none) {
    dials_ = 0;
    interval_ = tuning::kUrgentDial;
  }
  if (need == Need::relaxed) round_left_ = 0;  // a round of its own
  need_ = need;
  if (!rises) return;
  if (fresh_ || !from_none) {
    next_round_ = std::min(next_round_, now);
  } else if (need == Need::urgent) {
    next_round_ = std::min(next_round_, last_round_ + tuning::kUrgentDial);
  }
}

void Dialer::start_over() {
  fresh_ = true;
  interval_ = tuning::kUrgentDial;
  backoff_ = tuning::kUrgentDial;
}

void Dialer::set_addresses(Time now, std::size_t count) {
  if (addresses_ == 0 && count != 0) next_round_ = std::min(next_round_, now);
  addresses_ = count;
  if (round_left_ >= count) round_left_ = 0;
  if (last_good_ && *last_good_ >= count) last_good_.reset();
}

std::size_t Dialer::next_other() {
  std::size_t first =
      begin_ == Begin::first ? 0 : static_cast<std::size_t>(random_.below(addresses_));
  std::size_t turn = turn_ ? (*turn_ + 1) % addresses_ : first;
  if (last_good_ == turn) turn = (turn + 1) % addresses_;
  turn_ = turn;
  return turn;
}

std::size_t Dialer::dial(Time now, std::size_t address) {
  last_dial_ = now;
  in_flight_ += 1;
  connecting_ += 1;
  dials_ += 1;
  return address;
}

// As many to each of the addresses that a round dials.
bool Dialer::full() const {
  return connecting_ >= tuning::kMaxConnects * (addresses_ > 1 ? 2 : 1);
}

// Relaxed: the last round has not come to nothing yet.
bool Dialer::busy(Time now) const {
  return in_flight_ != 0 && now < last_dial_ + tuning::kDialPatience;
}

std::optional<std::size_t> Dialer::poll(Time now) {
  if (need_ == Need::none || addresses_ == 0 || now < not_before_) return std::nullopt;
  if (need_ == Need::relaxed) return poll_relaxed(now);
  if (full()) return std::nullopt;
  if (other_due_) {
    other_due_ = false;
    return dial(now, next_other());
  }
  if (now < next_round_) return std::nullopt;
  fresh_ = false;
  last_round_ = now;
  bool several = addresses_ > 1;
  // A quarter less, or less less: the agents of a server that comes back are not all at once there.
  auto jitter = static_cast<std::int64_t>(
      random_.below(static_cast<std::uint64_t>(interval_.count() / 4 + 1)));
  next_round_ =
      now + (several && !last_good_ ? tuning::kNextAddress : interval_ - Duration(jitter));
  interval_ = std::min(interval_ * 5 / 4, tuning::kMostUrgentDial);
  other_due_ = several && last_good_;
  return dial(now, last_good_ ? *last_good_ : next_other());
}

std::optional<std::size_t> Dialer::poll_relaxed(Time now) {
  if (round_left_ != 0 && in_flight_ != 0 && now < last_dial_ + tuning::kNextAddress) {
    return std::nullopt;
  }
  if (round_left_ != 0) {
    round_left_ -= 1;
    return dial(now, next_other());
  }
  if (full() || busy(now) || now < next_round_) return std::nullopt;
  fresh_ = false;
  last_round_ = now;
  round_left_ = addresses_ - 1;
  // 25 % jitter, so that a restarted server is not dialled by everybody at once.
  auto jitter = static_cast<std::int64_t>(
      random_.below(static_cast<std::uint64_t>(backoff_.count() / 4 + 1)));
  next_round_ = now + backoff_ + Duration(jitter);
  backoff_ = std::min(backoff_ * 2, tuning::kMaxBackoff);
  return dial(now, last_good_ ? *last_good_ : next_other());
}

Time Dialer::next_timeout() const {
  if (need_ == Need::none || addresses_ == 0) return kNever;
  Time at = next_round_;
  if (need_ == Need::urgent) {
    if (full()) return kNever;
    if (other_due_) at = Time{};
  } else if (round_left_ != 0) {
    at = in_flight_ != 0 ? last_dial_ + tuning::kNextAddress : Time{};
  } else if (full()) {
    return kNever;
  } else if (in_flight_ != 0) {
    at = std::max(at, last_dial_ + tuning::kDialPatience);
  }
  return std::max(at, not_before_);
}

void Dialer::established() {
  HOLDFAST_CHECK(connecting_ > 0);
  connecting_ -= 1;
}

void Dialer::connected(std::size_t address) {
  HOLDFAST_CHECK(in_flight_ > 0);
  in_flight_ -= 1;
  last_good_ = address;
}

void Dialer::failed(Time, Reached reached) {
  HOLDFAST_CHECK(in_flight_ > 0);
  in_flight_ -= 1;
  if (reached == Reached::nobody) connecting_ -= 1;
  HOLDFAST_CHECK(connecting_ >= 0 && connecting_ <= in_flight_);
}

}  // namespace holdfast
