#include "common/io/loop_thread.h"

#include <pthread.h>
#include <signal.h>

#include <utility>

#include "common/base/host_refused.h"

namespace holdfast {
namespace {

// Signals are the first loop's.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

LoopThread::LoopThread()
    : loop_(std::make_unique<Loop>()),
      wakeup_(std::make_unique<Wakeup>(*loop_, [this] { stand_still(); })) {}

LoopThread::~LoopThread() {
  stop();
  wakeup_.reset();
}

void LoopThread::run(Loop::Task& task, std::function<void()> ended) {
  running_ = true;
  SignalsBlocked blocked;
  auto turn = [this, &task, ended = std::move(ended)] {
    pthread_setname_np(pthread_self(), "loop");
    loop_->run(task);
    {
      std::lock_guard lock(mutex_);
      running_ = false;
      changed_.notify_all();
    }
    ended();
  };
  thread_ = unless_refused(kThread, [&] { return std::thread(std::move(turn)); });
}

void LoopThread::stop() {
  if (!thread_.joinable()) return;
  pause();
  wait_paused();
  loop_->stop();
  resume();
  thread_.join();
}

bool LoopThread::ended() const {
  std::lock_guard lock(mutex_);
  return !running_;
}

void LoopThread::pause() {
  std::lock_guard lock(mutex_);
  wanted_ += 1;
  if (running_ && !paused_) wakeup_->wake();
}

void LoopThread::wait_paused() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return paused_ || !running_; });
}

void LoopThread::resume() {
  std::lock_guard lock(mutex_);
  wanted_ -= 1;
  if (wanted_ == 0) changed_.notify_all();
}

void LoopThread::stand_still() {
  std::unique_lock lock(mutex_);
  if (wanted_ == 0) return;
  paused_ = true;
  changed_.notify_all();
  changed_.wait(lock, [this] { return wanted_ == 0; });
  paused_ = false;
  lock.unlock();
  loop_->refresh();
}

LoopsPause::LoopsPause(std::vector<LoopThread*> threads) : threads_(std::move(threads)) {
  for (LoopThread* thread : threads_) thread->pause();
  for (LoopThread* thread : threads_) thread->wait_paused();
}

LoopsPause::~LoopsPause() {
  for (LoopThread* thread : threads_) thread->resume();
}

}  // namespace holdfast
