#include "common/core/progress.h"

#include "common/core/tuning.h"

namespace holdfast {

bool Progress::report(const PathReport& path, Duration patience) {
  Duration ack_time = std::min(path.ack_time, tuning::kMostAckTime);
  slow_ = path.queued > tuning::kBacklog ? ack_time : slow_;
  if (!before_) {
    received_before_ = path.received;
    idle_before_ = path.received_ago;
  }
  Duration silent = path.received_ago;
  if (path.received == received_before_) silent -= idle_before_;
  if (silent > std::max(patience, ack_time)) gap_ = true;
  bool moved = false;
  if (before_) {
    bool sent = path.acked > before_->acked || path.arrived > before_->arrived;
    bool came = path.received > before_->received && path.timeouts <= tuning::kStuckTimeouts;
    moved = (sent && !passed_) || (came && !gap_);
  }
  if (handed_ && !mark_) mark_ = path.acked + path.queued;
  passed_ = mark_ && path.acked >= *mark_;
  before_ = path;
  return moved;
}

}  // namespace holdfast
