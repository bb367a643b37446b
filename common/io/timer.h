// Timers on CLOCK_BOOTTIME, so that a suspend counts: one timerfd for all of them.
#pragma once

#include <functional>
#include <map>

#include "common/base/time.h"
#include "common/io/poller.h"

namespace holdfast {

class TimerQueue;

// One timer. Disarmed when destroyed; its callback may destroy it.
class Timer {
 public:
  Timer(TimerQueue& queue, std::function<void()> callback)
      : queue_(queue), callback_(std::move(callback)) {}
  ~Timer() { cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Calls back once at or after `at`; replaces an earlier arming. kNever cancels.
  void arm(Time at);
  void cancel();
  bool armed() const { return at_ != kNever; }

 private:
  friend class TimerQueue;
  TimerQueue& queue_;
  std::function<void()> callback_;
  Time at_ = kNever;
  std::multimap<Time, Timer*>::iterator place_;
};

class TimerQueue final : public Poller::Watcher {
 public:
  explicit TimerQueue(Poller& poller);

  // Sets the kernel's timer to the earliest one: once a turn, not once an arming.
  void settle();

 private:
  friend class Timer;
  void on_ready(std::uint32_t events) override;

  std::multimap<Time, Timer*> timers_;
  Time set_to_ = kNever;  // what the kernel's timer is set to
  Descriptor descriptor_;
  Poller::Registration registration_;
};

// The clock that counts suspend; the only place that reads it.
Time read_boot_clock();

}  // namespace holdfast
