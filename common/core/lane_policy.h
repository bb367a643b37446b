// How many lanes a client's link has, and when one more is opened for a new stream.
//
// An idle link has one. While bulk moves on a path that queues or loses there are as many as bulk
// streams and one more, so that whoever comes finds one without bulk; and where others are active
// besides, one more than that. A new stream that would find others on every lane has one opened for
// it before anybody knows what it will be: streams do not move between links once they are open,
// and later is too late. Where the path is so short that it can hardly queue or lose unseen, that
// waits for a sign. Lanes without a stream go after a while.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/core/lane_meter.h"

namespace holdfast {

// One lane that takes new streams, as its loop told last.
struct LaneState {
  std::string name;
  unsigned lane = 0;  // 0 stays, whatever happens
  bool live = false;
  LaneView view;
  bool troubled = false;
  Duration round_trip{};        // as for LaneMeter
  Duration least_round_trip{};  // likewise
};

class LanePolicy {
 public:
  // `first` at once and `most` at most, as in the config; alike: nothing is ever decided here.
  LanePolicy(unsigned first, unsigned most) : first_(first), most_(most) {}

  // Takes over what is known of the path and of the server.
  void learn_of(const LanePolicy& earlier) {
    troubled_at_ = earlier.troubled_at_;
    not_before_ = earlier.not_before_;
  }
  // What they are now, as far as was told; `count` of them there are.
  void look(Time now, unsigned count, std::vector<LaneState> lanes);
  // So many are to be opened now.
  unsigned missing(Time now) const;
  // One that has had no stream for long, and is not wanted.
  std::optional<std::string> idle(Time now) const;
  // A new stream would share a lane with others that are active: is one opened for it?
  bool opens_for_another(Time now) const;
  // How long a new stream waits for a lane that comes up; zero: it would take too long. `bulk`:
  // else it is beside bulk.
  Duration patience(bool bulk) const;
  // The server refused one, or it did not come up: none for a while.
  void refused(Time now) { not_before_ = now + tuning::kLaneRefused; }
  // Told of one that was opened since look().
  void opened() { count_ += 1; }

 private:
  unsigned wanted() const;
  bool may_open(Time now) const { return count_ < most_ && live_ && now >= not_before_; }

  unsigned first_;
  unsigned most_;
  std::vector<LaneState> lanes_;
  unsigned count_ = 0;
  bool live_ = false;
  std::optional<Time> troubled_at_;
  bool troubled_ = false;
  Duration round_trip_{};
  Duration least_{};
  Time not_before_{};
};

}  // namespace holdfast
