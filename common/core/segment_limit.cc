#include "common/core/segment_limit.h"

#include <algorithm>

#include "common/core/tuning.h"

namespace holdfast {
namespace {

// How long a limit holds at first before a larger one is tried, and at most.
constexpr Duration kKeep = seconds(600);
constexpr Duration kMostKeep = seconds(86400);
// A path that swallows only large packets lets a dial stand in this time.
constexpr Duration kStandsWithin = seconds(5);

}  // namespace

int SegmentLimit::for_dial(Time now) {
  if (bytes_ == 0) return 0;
  if (tried_ && now - since_ > kStandsWithin) {
    *this = SegmentLimit{};
  } else if (now - since_ > keep_) {
    bytes_ = bytes_ == tuning::kSmallSegment ? static_cast<int>(tuning::kMiddleSegment) : 0;
    since_ = now;
  }
  return bytes_;
}

void SegmentLimit::barren(Time now) {
  keep_ = keep_ == Duration{} ? kKeep : std::min<Duration>(keep_ * 2, kMostKeep);
  bytes_ = tuning::kSmallSegment;
  tried_ = true;
  since_ = now;
}

}  // namespace holdfast
