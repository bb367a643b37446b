#include "common/core/lane_meter.h"

#include <algorithm>

#include "common/core/tuning.h"

namespace holdfast {
namespace {

// Samples in which a stream moved much before it is bulk, and after which it is none again.
constexpr int kBulkSamples = 3;
// So much in one sample says it at once.
constexpr std::uint64_t kCertainBulk = 256 * kKiB;

}  // namespace

void LaneMeter::opened(Time now) {
  if (now >= second_ + seconds(1)) {
    opened_before_ = now < second_ + seconds(2) ? opened_now_ : 0;
    opened_now_ = 0;
    second_ = now;
  }
  opened_now_ += 1;
}

void LaneMeter::sample(Time now, const Link& link, const std::optional<PathReport>& path) {
  Duration time = now - sampled_at_;
  std::uint64_t total = link.counters().sent_bytes + link.counters().received_bytes;
  std::uint64_t moved = total - moved_;
  moved_ = total;
  sampled_at_ = now;
  if (moved != 0) moved_at_ = now;
  if (link.stream_count() != 0) empty_since_ = now;
  if (moved >= tuning::kBulkSample || bulk_ != 0) look_at_streams(link);
  if (link.attempt() != attempt_) {
    attempt_ = link.attempt();
    lost_before_ = lost_ = 0;
  }
  if (!path || !link.live() || time <= Duration{}) return;
  look_at_path(link, *path, moved * 1'000'000 / static_cast<std::uint64_t>(time.count()));
}

void LaneMeter::look_at_streams(const Link& link) {
  bulk_ = 0;
  link.for_each_moved([&](StreamHandle stream, std::uint64_t bytes) {
    if (stream.slot >= seen_.size()) seen_.resize(stream.slot + 1);
    Seen& seen = seen_[stream.slot];
    if (seen.stream != stream.id) seen = Seen{stream.id};
    std::uint64_t moved = bytes - seen.bytes;
    seen.bytes = bytes;
    seen.score = moved >= tuning::kBulkSample ? seen.score + 1 : seen.score - 1;
    seen.score = std::clamp(moved >= kCertainBulk ? kBulkSamples : seen.score, 0, kBulkSamples);
    if (seen.score == 0 || seen.score == kBulkSamples) seen.bulk = seen.score != 0;
    bulk_ += seen.bulk ? 1 : 0;
  });
}

void LaneMeter::look_at_path(const Link& link, const PathReport& path, std::uint64_t bytes_s) {
  round_trip_ = std::max(link.liveness().round_trip(), path.least_round_trip);
  least_ = path.least_round_trip;
  ack_time_ = std::min(path.ack_time, tuning::kMostAckTime);
  lost_ += path.lost - std::min(path.lost, lost_before_);
  lost_before_ = path.lost;
  bool queues = bulk_ != 0 && bytes_s < tuning::kFastPath &&
                link.liveness().round_trip() > least_ + tuning::kQueueTime;
  // Where a round trip is nothing, so is what a loss costs.
  bool loses = lost_ >= tuning::kLossesSeen && least_ >= tuning::kQuickRoundTrip;
  troubled_ = troubled_ || queues || loses;
}

LaneView LaneMeter::view(Time now, const Link& link) const {
  LaneView view;
  view.streams = link.stream_count();
  view.bulk = std::min(bulk_, view.streams);
  if (now < second_ + seconds(2)) view.young = opened_now_;
  if (now < second_ + seconds(1)) view.young += opened_before_;
  view.young = std::min(view.young, view.streams - view.bulk);
  view.busy = view.streams != 0 && moved_at_ && now - *moved_at_ < tuning::kLaneBusy;
  view.empty_since = view.streams != 0 ? now : empty_since_;
  return view;
}

}  // namespace holdfast
