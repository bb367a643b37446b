// Path: the network between one client's host and the server, one queue and one line each way.
//
// A segment waits in the queue until the line has sent what is before it, and arrives after the
// delay. Every connection of the path shares the queue, unless each flow has its own (as fq and
// fq_codel do): then the line's rate is shared among those that have something to send. What does
// not fit into the queue, or is lost, must be sent again; what is larger than the path passes
// vanishes, however often it is sent.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "common/base/random.h"
#include "common/base/time.h"

namespace holdfast::sim {

// The least that a question may take before it is a sign.
inline constexpr Duration kNoticed = milliseconds(500);
inline constexpr Time kLongAgo = Time(-seconds(100000));

// Towards whom.
enum class Direction : std::uint8_t { to_server, to_client };
inline Direction opposite(Direction direction) {
  return direction == Direction::to_server ? Direction::to_client : Direction::to_server;
}

class Path {
 public:
  struct Shape {
    Duration delay{};
    Duration jitter{};
    std::uint64_t rate = 0;            // bytes a second each way; 0: without end
    std::uint64_t queue = UINT64_MAX;  // bytes that may wait for the line
    bool queue_by_flow = false;        // each flow has a queue of its own
    std::uint32_t loss = 0;            // of 1,000 segments
    Duration burst{};                  // with one that is lost goes all that is sent so soon after
    std::uint32_t largest = UINT32_MAX;  // bytes of payload that pass in one segment
    // What the hosts' kernels hold for one direction of a connection, in bytes.
    std::size_t send_buffer = 65536;
    std::size_t receive_buffer = 65536;
  };
  // When a queue's last byte has left: the path's, or that of one flow.
  struct Line {
    Time free{};
  };

  Path(const Shape& shape, Random& random) : shape_(shape), random_(random) {}

  const Shape& shape() const { return shape_; }
  void reshape(const Shape& shape) { shape_ = shape; }

  // Every flow has a line, whether the path lets it have its own queue or not.
  void enter(Direction direction, const Line& own);
  void leave(Direction direction, const Line& own);

  // When a segment sent now arrives; kNever: it is lost. `own`: the flow's line.
  Time carry(Direction direction, Line& own, std::size_t bytes, Time now);
  // The same for one that is sent again, some time ahead.
  Time carry_again(Direction direction, std::size_t bytes, Time at);
  // How long what is sent now waits behind what others have sent; a flow's own queue has no others.
  Duration wait(Direction direction, Time now) const {
    if (shape_.rate == 0 || shape_.queue_by_flow) return {};
    return std::max(lines_[static_cast<int>(direction)].free - now, Duration{});
  }
  // Of what had to wait for long in a queue, when the last of it arrived or will.
  Time queued_until() const { return queued_until_; }
  bool passes(std::size_t payload) const { return payload <= shape_.largest; }
  // Segments matter one by one.
  bool counts_segments() const {
    return shape_.rate != 0 || shape_.loss != 0 || shape_.largest != UINT32_MAX;
  }

  // --- Faults of new connections ---
  Time refuse_until{};  // a SYN is answered with RST
  Time hang_until{};    // a SYN is lost
  Time slow_until{};    // connections that begin now hold back what the client says,
  Duration slow{};      // for so long
  Time answer_until{};  // a middlebox answers SYNs, and leads nowhere
  // --- Of all of it; whoever sets these reshapes it ---
  Time storm_until{};
  Time swallow_until{};
  std::uint32_t swallow_over = UINT32_MAX;  // for good

 private:
  bool lost(Direction direction, Time at);
  Duration delay();
  std::int64_t busy_flows(Direction direction, const Line& but, Time now) const;

  Shape shape_;
  Random& random_;
  Line lines_[2];
  Time queued_until_ = kLongAgo;
  Time burst_until_[2] = {};
  std::vector<const Line*> flows_[2];
};

}  // namespace holdfast::sim
