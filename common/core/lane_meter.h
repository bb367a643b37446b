// LaneMeter: what one lane of a client's link carries, and what its path is like.
//
// A stream is *bulk* while it moves much for long, either way: 1.5 KiB in each quarter of a second
// are more than a typist's and less than a modem's. A path *queues* when bulk makes round trips
// much longer than the path's own though little moves, and *loses* when packets are sent again or
// come out of turn. On a path that does neither, one carrier is as good as many.
#pragma once

#include <optional>
#include <vector>

#include "common/core/link.h"
#include "common/core/path_report.h"

namespace holdfast {

// What decides where a new stream goes, and how many lanes there are.
struct LaneView {
  std::size_t streams = 0;
  std::size_t bulk = 0;   // of these
  std::size_t young = 0;  // opened just now: nobody knows what they will be
  bool busy = false;      // something moved in the last seconds
  Time empty_since{};     // without streams
};

class LaneMeter {
 public:
  // Of a lane that is opened now, and so has been empty for no time.
  explicit LaneMeter(Time now) : empty_since_(now) {}
  // A stream was opened.
  void opened(Time now);
  // Once in kLaneSample while there are streams. `path`: of the carrier, if there is one.
  void sample(Time now, const Link& link, const std::optional<PathReport>& path);

  LaneView view(Time now, const Link& link) const;
  // It queues or loses, as far as was seen since this carrier stands.
  bool troubled() const { return troubled_; }
  // Of the path, with what is queued on it; zero: not known.
  Duration round_trip() const { return round_trip_; }
  // How long an ack took, by the kernel, with what the lane has queued itself.
  Duration ack_time() const { return ack_time_; }
  // The path's own; zero: not known.
  Duration least_round_trip() const { return least_; }

 private:
  struct Seen {
    StreamId stream;
    std::uint64_t bytes = 0;
    int score = 0;
    bool bulk = false;
  };

  void look_at_streams(const Link& link);
  void look_at_path(const Link& link, const PathReport& path, std::uint64_t bytes_s);

  std::vector<Seen> seen_;  // by slot
  std::size_t bulk_ = 0;
  std::uint64_t moved_ = 0;  // by the link, as of the last sample
  Time sampled_at_{};
  std::optional<Time> moved_at_;
  Time empty_since_;
  // Streams opened in the last second that was looked at, and in the one before.
  Time second_{};
  std::size_t opened_now_ = 0;
  std::size_t opened_before_ = 0;
  std::uint64_t attempt_ = 0;  // of the carrier that the path is of
  std::uint64_t lost_before_ = 0;
  std::uint64_t lost_ = 0;
  bool troubled_ = false;
  Duration ack_time_{};
  Duration round_trip_{};
  Duration least_{};
};

}  // namespace holdfast
