// The virtual clock's queue: what happens when, in order of time and then of scheduling.
#pragma once

#include <cstdint>
#include <queue>
#include <vector>

#include "common/base/time.h"

namespace holdfast::sim {

// Most events are hints to look again: what they find decides, so that a late or doubled one
// does no harm.
enum class EventKind : std::uint8_t {
  client_carrier,  // look at a carrier's client end
  server_carrier,
  dial,  // a dial's outcome may be due
  client_timer,
  server_timer,
  client_wake,  // a late turn ends
  server_wake,
  start_conversation,
  application,  // an application may write or read
  socket,       // an agent may read or write an application's socket
  backend,      // a backend's answer is due
  fault,
  restart_client,
  restart_server,
  stop_clone,
  cut_carrier,  // the other end notices late
};

struct Event {
  Time at{};
  std::uint64_t order = 0;
  EventKind kind{};
  std::uint32_t index = 0;   // client, conversation, fault: by kind
  std::uint64_t detail = 0;  // carrier, side, generation: by kind
};

class EventQueue {
 public:
  void push(Time at, EventKind kind, std::uint32_t index, std::uint64_t detail) {
    queue_.push({at, next_order_++, kind, index, detail});
  }
  bool empty() const { return queue_.empty(); }
  const Event& top() const { return queue_.top(); }
  Event pop() {
    Event event = queue_.top();
    queue_.pop();
    return event;
  }

 private:
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return a.at != b.at ? a.at > b.at : a.order > b.order;
    }
  };
  std::priority_queue<Event, std::vector<Event>, Later> queue_;
  std::uint64_t next_order_ = 0;
};

}  // namespace holdfast::sim
