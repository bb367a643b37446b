// LifeCycle: how far an agent's network is on its way out.
//
//      v---undrain()------+
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

// How long an agent that drains waits for its last stream.
enum class DrainUntil : std::uint8_t {
  timeout,  // for shutdown_timeout; what is left then is reset
  empty,    // as long as it takes
};

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

  // What is here may be resumed.
  bool home() const { return state_ == State::running || state_ == State::draining; }

  // Takes nothing new from now on; leaves within `patience`, or when it is empty. Again: with
  // another end. False: it leaves already.
  bool drain(DrainUntil until, Duration patience);
  // It runs again. False: it leaves already.
  bool undrain();
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
