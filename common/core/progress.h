// Progress: while a question is on its way to the peer, do bytes move?
//
// On a slow path a PING waits behind what was written before it, for seconds. What the peer's
// kernel acknowledges meanwhile shows that the path is slow and not dead, but only up to the PING:
// a proxy or a middlebox on the way acknowledges as well, and for ever. Bytes of the peer's count
// in the same way while they come without a gap: our kernel's acks must reach it then. After a gap
// they do not, since after an outage the peer's retransmissions may come long before ours. A link
// that was idle before the question had no gap then: only what is silent since counts. Nor do they
// count while ours are sent again and again in vain: small acks pass where large segments vanish.
//
// Acked bytes stand still for seconds on a healthy slow path whose queue is full of duplicates, so
// packets that the peer has shown to have count as well.
#pragma once

#include <algorithm>
#include <optional>

#include "common/core/path_report.h"

namespace holdfast {

class Progress {
 public:
  // A question is to be put.
  void asked() { *this = Progress{}; }
  // It was handed to the carrier.
  void handed() { handed_ = true; }
  // The next report is to come at once: the first one, and that which says what lies before the
  // question.
  bool wants_report() const { return !before_ || (handed_ && !mark_); }
  // True when something has moved since the last report that counts. `patience`: a gap is longer.
  bool report(const PathReport& path, Duration patience);
  // The peer's kernel has the question, as of the last report.
  bool passed() const { return passed_; }
  // How long an ack may take, on a path with a backlog.
  Duration slow() const { return slow_; }

 private:
  std::optional<PathReport> before_;
  std::optional<std::uint64_t> mark_;  // of `acked`, where the question begins
  bool handed_ = false;
  bool passed_ = false;
  bool gap_ = false;
  std::uint64_t received_before_ = 0;  // the question, and
  Duration idle_before_{};             // since when
  Duration slow_{};
};

}  // namespace holdfast
