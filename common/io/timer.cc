#include "common/io/timer.h"

#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/host_refused.h"

namespace holdfast {

Time read_boot_clock() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return Time(seconds(now.tv_sec) + microseconds(now.tv_nsec / 1000));
}

void Timer::arm(Time at) {
  if (at == at_) return;
  cancel();
  if (at == kNever) return;
  at_ = at;
  place_ = queue_.timers_.emplace(at, this);
}

void Timer::cancel() {
  if (!armed()) return;
  queue_.timers_.erase(place_);
  at_ = kNever;
}

TimerQueue::TimerQueue(Poller& poller)
    : descriptor_(timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC)),
      registration_(poller, descriptor_.get(), *this) {
  if (!descriptor_.valid()) host_refused("a timer", errno);
  registration_.set(EPOLLIN);
}

void TimerQueue::settle() {
  Time first = timers_.empty() ? kNever : timers_.begin()->first;
  // One that is set too early only wakes us once for nothing.
  if (first == kNever || set_to_ <= first) return;
  std::int64_t at_us = std::max<std::int64_t>(first.time_since_epoch().count(), 1);
  itimerspec when{};
  when.it_value.tv_sec = static_cast<std::time_t>(at_us / 1'000'000);
  when.it_value.tv_nsec = static_cast<long>(at_us % 1'000'000 * 1000);
  // Only a time of our own making can be wrong here: the host has no say in it.
  HOLDFAST_CHECK(timerfd_settime(descriptor_.get(), TFD_TIMER_ABSTIME, &when, nullptr) == 0);
  set_to_ = first;
}

void TimerQueue::on_ready(std::uint32_t) {
  std::uint64_t expirations = 0;
  if (read(descriptor_.get(), &expirations, sizeof expirations) < 0) return;
  set_to_ = kNever;
  Time now = read_boot_clock();
  // Those armed by the callbacks for a time already past wait for the next turn.
  std::size_t most = timers_.size();
  while (most-- > 0 && !timers_.empty() && timers_.begin()->first <= now) {
    Timer* timer = timers_.begin()->second;
    timer->cancel();
    std::function<void()> callback = timer->callback_;  // the timer may go meanwhile
    callback();
  }
}

}  // namespace holdfast
