// Loop: one thread's event loop. Reads happen as descriptors become ready; what they lead to is
// written once at the end of the turn, for everything that the turn brought.
//
//   Poller::wait() --> callbacks (Poller, TimerQueue; libuv's: signals, calls) --> end_of_turn()
//        ^                                                                              |
//        +----------------- sleeps, unless the task or a kick has more -----------------+
//
// What waits is our own epoll set, one system call a turn. libuv's loop is embedded in it, as
// uv_backend_fd() is for: it runs only when it has something (signals, calls from other threads).
// The other way about, our set in libuv's, each turn cost a second epoll_wait.
#pragma once

#include <uv.h>

#include <atomic>
#include <memory>
#include <optional>

#include "common/base/bytes.h"
#include "common/base/turn_histogram.h"
#include "common/io/handle.h"
#include "common/io/poller.h"
#include "common/io/timer.h"

namespace holdfast {

class Loop final : private Poller::Watcher {
 public:
  class Task {
   public:
    // All input of this turn was taken. True: there is more to do, do not sleep.
    virtual bool end_of_turn() = 0;

   protected:
    ~Task() = default;
  };

  Loop();
  // Everything on the loop must be gone by now.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Until stop().
  void run(Task& task);
  void stop() { stopped_ = true; }
  // The same in steps, for who decides himself when the loop goes on: begin(), then turn() until
  // stopped(). A turn waits, unless there is more to do. True: it left more to do, so that the next
  // one does not wait.
  bool begin(Task& task);
  bool turn();
  bool stopped() const { return stopped_; }

  // The time of this turn.
  Time now();
  // After long work: reads the clock anew.
  Time refresh();
  // When the last turn ended, in microseconds of the boot clock; for a watchdog on any thread.
  std::int64_t last_turn_us() const { return last_turn_us_.load(std::memory_order_relaxed); }

  // How long turns took, from waking up to going to sleep. The loop's thread.
  const TurnHistogram& turns() const { return turns_; }

  uv_loop_t* uv() { return &uv_; }
  Poller& poller() { return *poller_; }
  TimerQueue& timers() { return *timers_; }
  // Scratch for one read; its content is good until the reader's callback returns.
  MutableBytes read_buffer() { return {read_buffer_.get(), kReadBufferSize}; }
  static constexpr std::size_t kReadBufferSize = 256 * kKiB;

 private:
  // libuv has something.
  void on_ready(std::uint32_t events) override;
  // How long libuv lets us sleep, in ms; -1 for ever.
  int uv_patience() const;
  // True: there is more to do, do not sleep.
  bool end_turn();

  uv_loop_t uv_{};
  Task* task_ = nullptr;
  bool stopped_ = false;
  bool more_ = false;  // left by the last turn
  std::optional<Time> now_;
  std::atomic<std::int64_t> last_turn_us_{0};
  TurnHistogram turns_;
  std::unique_ptr<std::uint8_t[]> read_buffer_;
  std::unique_ptr<Poller> poller_;
  std::unique_ptr<TimerQueue> timers_;
  std::unique_ptr<Poller::Registration> uv_ready_;
};

}  // namespace holdfast
