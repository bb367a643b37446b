// The virtual clock's queue: what happens when, in order of time and then of scheduling.
#pragma once

#include <cstdint>
#include <queue>
#include <vector>

#include "common/base/time.h"

namespace holdfast::sim {

struct Event;

// Whom events are for; outlives the queue. What an event is about may be gone when it comes: it
// says so by number, and is a hint to look.
class EventSink {
 public:
  virtual void on_event(const Event& event) = 0;

 protected:
  ~EventSink() = default;
};

struct Event {
  Time at{};
  std::uint64_t order = 0;
  EventSink* sink = nullptr;
  std::uint32_t kind = 0;    // the sink's own
  std::uint32_t index = 0;   // by kind
  std::uint64_t detail = 0;  // by kind
};

class EventQueue {
 public:
  void push(Time at, EventSink& sink, std::uint32_t kind, std::uint32_t index,
            std::uint64_t detail) {
    queue_.push({at, next_order_++, &sink, kind, index, detail});
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
