// One direction of a path: what swallows, then a bottleneck with its queue, then loss and delay.
//
//   offer --max_packet, blocked--> [queue, rate] --loss--> [delay, jitter, reordering] --> take
//
// The order of calls: offer() each packet that comes, take() until it gives nothing, and again at
// next(). Who calls late loses no capacity: the bottleneck reckons with when a packet would have
// left, not with when somebody looked.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/random.h"
#include "tests/paths/packet.h"

namespace holdfast::paths {

struct Shape {
  double bits_s = 0;      // of IP packets; 0: no bottleneck, so no queue
  bool per_flow = false;  // a queue for each flow, served in turn (deficit round robin), else one
  std::size_t queue_bytes = 75'000;  // of each queue; what does not fit is lost
  Nanos delay{};
  Nanos jitter{};      // up to so much more, evenly; packets stay in order
  double loss = 0;     // 0 to 1, behind the bottleneck: what is lost has used it
  double burst = 1;    // packets lost in a row, on average (Gilbert's model)
  double reorder = 0;  // 0 to 1: packets that are held back for `reorder_by`, and overtaken
  Nanos reorder_by{};
  std::size_t max_packet = 0;  // larger ones vanish, without a word; 0: none
  bool blocked = false;        // all vanish
};

// "rate_kbit=128" and so on; false for a key or value that is none. The keys: rate_kbit, fair
// (0 or 1), queue_bytes, delay_ms, jitter_ms, loss, burst, reorder, reorder_ms, max_packet,
// blocked.
bool set(Shape& shape, const std::string& key, const std::string& value);

struct Counts {
  std::uint64_t packets = 0, bytes = 0;  // that came out
  std::uint64_t queue_full = 0;          // packets lost for want of room
  std::uint64_t lost = 0;                // by chance
  std::uint64_t swallowed = 0;           // too large, or blocked
  std::size_t most_queued = 0;           // bytes, of all queues
};

class Direction {
 public:
  Direction(Shape shape, std::uint64_t seed) : shape_(shape), random_(seed) {}

  // From now on. What is queued or on its way stays so.
  void reshape(const Shape& shape) { shape_ = shape; }
  const Shape& shape() const { return shape_; }

  void offer(Nanos now, Packet packet);
  // A packet of somebody behind the bottleneck and what swallows.
  void inject(Nanos now, Packet packet) { travel(now, std::move(packet)); }
  // The next packet that has arrived by now.
  std::optional<Packet> take(Nanos now);
  // When something happens by itself; nothing while the path is empty.
  std::optional<Nanos> next() const;

  const Counts& counts() const { return counts_; }

 private:
  struct Flow {
    std::deque<Packet> packets;
    std::size_t bytes = 0;
    std::size_t deficit = 0;
  };
  struct Due {
    Nanos at;
    std::uint64_t number;  // of the order in which they left the bottleneck
    Packet packet;
    // A heap's first is its largest.
    bool operator<(const Due& other) const {
      return at != other.at ? at > other.at : number > other.number;
    }
  };

  void enqueue(Packet packet);
  // Moves what has passed the bottleneck by now on to the delay line.
  void serve(Nanos now);
  Packet dequeue();
  void travel(Nanos from, Packet packet);
  bool lost();
  double chance() { return static_cast<double>(random_.below(1u << 30)) / (1u << 30); }

  Shape shape_;
  Random random_;
  Counts counts_;
  std::map<std::uint64_t, Flow> flows_;  // with something queued
  std::deque<std::uint64_t> turns_;      // keys of flows_, in the order they are served
  std::size_t queued_ = 0;               // bytes of all flows
  Nanos free_{};                         // when the bottleneck has sent all it took
  Nanos last_due_{};
  std::uint64_t number_ = 0;
  bool in_burst_ = false;
  std::vector<Due> due_;  // a heap: std::priority_queue would copy what it gives
};

}  // namespace holdfast::paths
