#include "common/core/delivery_rate.h"

#include <algorithm>

#include "common/core/tuning.h"

namespace holdfast {

void DeliveryRate::report(Time now, const PathReport& path) {
  segment_ = path.segment;
  quick_ = path.least_round_trip < tuning::kQuickRoundTrip && path.acked > tuning::kQuickBytes;
  bool backlog = path.queued > 2 * segment_;
  if (!backlog_ || !backlog) {
    backlog_ = backlog;
    since_ = now;
    acked_ = path.acked;
    return;
  }
  Duration time = now - since_;
  std::uint64_t bytes = path.acked - acked_;
  if (time < tuning::kRateSample) return;
  if (time < tuning::kLongRateSample && bytes < 4 * segment_) return;
  std::uint64_t rate = bytes * 1'000'000 / static_cast<std::uint64_t>(time.count());
  rising_ = rate > bytes_s_ + bytes_s_ / 4;
  // Up at once, down slowly: a queue that is too short costs throughput, one too long only time.
  bytes_s_ = rate >= bytes_s_ ? rate : (bytes_s_ * 7 + rate * 3) / 10;
  since_ = now;
  acked_ = path.acked;
}

std::size_t DeliveryRate::may_wait(std::size_t most) const {
  if (bytes_s_ == 0 && quick_) return most;
  std::uint64_t least = std::max(segment_, 2 * tuning::kFrameRoom) - tuning::kFrameRoom;
  // A window that doubles with each round trip is far ahead of what was measured.
  std::uint64_t time = static_cast<std::uint64_t>(tuning::kMayWait.count()) * (rising_ ? 4 : 1);
  std::uint64_t bytes =
      bytes_s_ == 0 ? tuning::kFirstSegments * segment_ : bytes_s_ * time / 1'000'000;
  return static_cast<std::size_t>(std::min<std::uint64_t>(std::max(bytes, least), most));
}

Duration DeliveryRate::time_of(std::size_t bytes) const {
  return Duration(bytes_s_ == 0 ? 0 : std::uint64_t{bytes} * 1'000'000 / bytes_s_);
}

}  // namespace holdfast
