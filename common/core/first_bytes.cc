#include "common/core/first_bytes.h"

namespace holdfast {

void FirstBytes::start() {
  fresh_ = true;
  delivers_ = false;
  first_.reset();
  received_ = 0;
  under_way_ = 0;
  look_at_ = kNever;
  counted_ = passed_ = false;
}

// On a far path a carrier is given up before its packet was sent again twice: the next one's count
// with them, or each would be given up in its turn, for ever.
void FirstBytes::stop() {
  earlier_ = fresh_ && !delivers_ ? timeouts_ : 0;
  timeouts_ = 0;
  fresh_ = false;
}

void FirstBytes::wrote(Time now, std::size_t bytes) {
  if (!fresh_ || delivers_) return;
  under_way_ += bytes;
  if (first_ && look_at_ == kNever && under_way_ > tuning::kSmallSegment) {
    look_at_ = now + tuning::kLookEvery;
  }
}

void FirstBytes::looked(Time now) {
  if (now >= next_look()) look_at_ = now + tuning::kLookEvery;
}

FirstBytes::News FirstBytes::report(Time now, const PathReport& path) {
  if (!fresh_) return News::none;
  if (!first_) {
    first_ = path;
    wrote(now, 0);
  }
  segment_ = path.segment;
  passed_ = path.queued == 0;
  received_ = path.received - first_->received;
  if (received_ >= 2 * segment_) unanswered_ = 0;
  if (delivers_) return News::none;
  std::uint64_t acked = path.acked - first_->acked;
  if (acked >= 2 * segment_ || (path.queued == 0 && acked > segment_)) {
    delivers_ = true;
    look_at_ = kNever;
    times_ = shown_ = mute_ = 0;
    return News::delivers;
  }
  if (path.queued == 0) {
    under_way_ = 0;
    look_at_ = kNever;
  }
  timeouts_ = path.queued > tuning::kSmallSegment ? path.timeouts : 0;
  bool stuck = timeouts_ != 0 && earlier_ + timeouts_ >= tuning::kBarrenTimeouts;
  return stuck ? become_barren() : News::none;
}

bool FirstBytes::unanswered(Asked asked) {
  if (!fresh_ || !first_ || counted_) return false;
  counted_ = true;
  unanswered_ += 1;
  if (received_ >= 2 * segment_) return false;  // it is not fresh; the next one is
  if (unanswered_ <= 1) return false;
  if (asked == Asked::greeting) mute_ += 1;
  return become_barren() == News::barren;
}

FirstBytes::News FirstBytes::become_barren() {
  fresh_ = false;
  shown_ = ++times_;
  return News::barren;
}

}  // namespace holdfast
