// LoopThread: a loop on a thread of its own, beside the one that the process began with.
//
//   made --run()--> turning --the task stopped its loop, or stop()--> ended
//                   |     ^
//            pause() v     | resume()
//                   paused
//
// Loops share nothing; what one has for another goes through a Mailbox. Whoever looks at all of
// them, or changes them, pauses the others: they stand still between two callbacks, and what is
// theirs may be touched from the thread that asked. All calls are the first loop's thread's.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "common/io/loop.h"
#include "common/io/signals.h"

namespace holdfast {

class LoopThread {
 public:
  LoopThread();
  // Ends the loop if need be; everything on it but its task must be gone by now, or go with stop().
  ~LoopThread();
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  Loop& loop() { return *loop_; }
  // Starts the thread. `ended` is called on it when the task has stopped the loop.
  void run(Loop::Task& task, std::function<void()> ended);
  // The loop turns no more when this returns: what is on it can be destroyed.
  void stop();
  bool ended() const;

  // Asks it to stand still; wait_paused() waits until it does. Calls nest.
  void pause();
  void wait_paused();
  void resume();

 private:
  void stand_still();

  std::unique_ptr<Loop> loop_;
  std::thread thread_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int wanted_ = 0;       // pauses asked for
  bool paused_ = false;  // the thread waits
  bool running_ = false;
  std::unique_ptr<Wakeup> wakeup_;
};

// While it lives all of the threads stand still.
class LoopsPause {
 public:
  explicit LoopsPause(std::vector<LoopThread*> threads);
  ~LoopsPause();
  LoopsPause(const LoopsPause&) = delete;
  LoopsPause& operator=(const LoopsPause&) = delete;

 private:
  std::vector<LoopThread*> threads_;
};

}  // namespace holdfast
