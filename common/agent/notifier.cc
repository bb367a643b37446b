#include "common/agent/notifier.h"

#include <signal.h>
#if HOLDFAST_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "common/base/host_refused.h"
#include "common/base/with_systemd.h"
#include "common/log/escape.h"

namespace holdfast {
namespace {

using Clock = std::chrono::steady_clock;  // stands still in a suspend, as systemd's watchdog does

// States that may wait while the service manager hangs: some reloads' worth.
constexpr std::size_t kMostStates = 64;
// A service manager that waits this long gets three pings in the time.
constexpr int kPingsPerTimeout = 3;

Duration watchdog_timeout() {
  std::uint64_t timeout_us = 0;
#if HOLDFAST_SYSTEMD
  if (sd_watchdog_enabled(0, &timeout_us) <= 0) return {};
#endif
  return microseconds(static_cast<std::int64_t>(timeout_us));
}

void tell([[maybe_unused]] const std::string& message) {
#if HOLDFAST_SYSTEMD
  sd_notify(0, message.c_str());
#endif
}

}  // namespace

struct Notifier::State {
  explicit State(NotifierHooks given)
      : hooks(std::move(given)), interval(watchdog_timeout() / kPingsPerTimeout) {}

  // True: the destructor did not wait for the end, and nobody else will delete this.
  bool run() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);  // they are the loop's
    std::unique_lock lock(mutex);
    while (!stopping || !states.empty() || status) {
      wait_for_work(lock);
      send(lock, take_message());
      if (!stopping) send(lock, ping());
    }
    finished = true;
    changed.notify_all();
    return abandoned;
  }

  // May take as long as the service manager likes.
  void send(std::unique_lock<std::mutex>& lock, const std::string& message) {
    if (message.empty()) return;
    lock.unlock();
    tell(message);
    lock.lock();
  }

  void wait_for_work(std::unique_lock<std::mutex>& lock) {
    auto work = [this] { return stopping || !states.empty() || status; };
    if (interval == Duration{}) return changed.wait(lock, work);
    changed.wait_until(lock, next_ping, work);
  }

  // The oldest state, and the status once it is that state's turn.
  std::string take_message() {
    std::string message;
    if (!states.empty()) {
      message = std::move(states.front());
      states.pop_front();
    }
    if (status && states.empty()) {
      message += (message.empty() ? "STATUS=" : "\nSTATUS=") + *status;
      status.reset();
    }
    return message;
  }

  // A ping when it is time, unless no turn has ended since the last one.
  std::string ping() {
    Clock::time_point now = Clock::now();
    if (interval == Duration{} || now < next_ping) return "";
    next_ping = now + interval;
    std::int64_t turns = hooks.turns();
    if (turns == seen_turns) {
      if (!told_stuck) hooks.stuck(std::chrono::duration_cast<Duration>(now - moved_at));
      told_stuck = true;
      return "";
    }
    seen_turns = turns;
    moved_at = now;
    told_stuck = false;
    return "WATCHDOG=1";
  }

  const NotifierHooks hooks;
  const Duration interval;
  // The thread's own.
  Clock::time_point next_ping = Clock::now();
  Clock::time_point moved_at = Clock::now();
  std::int64_t seen_turns = -1;
  bool told_stuck = false;

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::string> states;
  std::optional<std::string> status;
  bool stopping = false;
  bool finished = false;
  bool abandoned = false;
  std::thread thread;
};

Notifier::Notifier(std::unique_ptr<State> state) : state_(std::move(state)) {}

std::unique_ptr<Notifier> Notifier::start(NotifierHooks hooks) {
  const char* socket = std::getenv("NOTIFY_SOCKET");
  if (!kWithSystemd || socket == nullptr || *socket == '\0') return nullptr;
  auto state = std::make_unique<State>(std::move(hooks));
  state->thread = unless_refused(kThread, [raw = state.get()] {
    return std::thread([raw] {
      if (raw->run()) delete raw;
    });
  });
  return std::unique_ptr<Notifier>(new Notifier(std::move(state)));
}

Notifier::~Notifier() {
  std::unique_lock lock(state_->mutex);
  state_->stopping = true;
  state_->changed.notify_all();
  if (state_->changed.wait_for(lock, kPatience, [this] { return state_->finished; })) {
    lock.unlock();
    state_->thread.join();
    return;
  }
  // It hangs in a send, for a service manager that does not read.
  state_->abandoned = true;
  state_->states.clear();
  state_->status.reset();
  state_->thread.detach();
  (void)state_.release();
}

void Notifier::send(std::string state) {
  std::lock_guard lock(state_->mutex);
  if (state_->states.size() == kMostStates) state_->states.pop_front();
  state_->states.push_back(std::move(state));
  state_->changed.notify_all();
}

void Notifier::status(std::string_view text) {
  std::lock_guard lock(state_->mutex);
  state_->status = escaped(text);  // a line end would start another assignment
  state_->changed.notify_all();
}

Duration Notifier::ping_interval() const {
  return state_->interval;
}

}  // namespace holdfast
