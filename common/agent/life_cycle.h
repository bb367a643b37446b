// LifeCycle: how far an agent's network is on its way out.
//
//   running --drain()--> draining --last stream, or timeout--> leaving --links ended--> stopped
//      \-------------------------------- leave() -----------------^
//
// Its owner closes and says goodbye; this class says when.
#pragma once

#include <cstdint>
#include <functional>

#include "common/io/loop.h"
#include "common/io/timer.h"

namespace holdfast {

// Goodbyes may take this long. SIGTERM promises an end within 2 s; the rest is for closing.
inline constexpr Duration kLeavePatience = milliseconds(1800);

class LifeCycle {
 public:
  // `late`: a deadline has passed, so the owner asks again what is due.
  LifeCycle(Loop& loop, std::function<void()> late);

  bool running() const { return state_ == State::running; }
  // No new streams any more, or no links either.
  bool draining() const { return state_ != State::running; }
  bool leaving() const { return state_ == State::leaving; }

  // Takes nothing new from now on; leaves within `patience`. False: it drains or leaves already.
  bool drain(Duration patience);
  // Goodbye is said now. False: it was said.
  bool leave();
  // When links that are still there are given up; meant while leaving().
  Time deadline() const { return deadline_; }

  // Draining is over: leave() is due. `idle`: no stream is left.
  bool drained(bool idle) const;
  // Leaving is over, well or late; true once. `gone`: no link is left.
  bool stopped(bool gone);

 private:
  enum class State : std::uint8_t { running, draining, leaving, stopped };

  void wait_until(Time deadline);

  Loop& loop_;
  State state_ = State::running;
  Time deadline_ = kNever;
  Timer timer_;
};

}  // namespace holdfast
