#include "common/agent/reload_worker.h"

#include "common/base/host_refused.h"

namespace holdfast {

ReloadWorker::ReloadWorker(Backend& backend)
    : backend_(backend),
      thread_(unless_refused(kThread, [this] { return std::thread([this] { run(); }); })) {}

ReloadWorker::~ReloadWorker() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  backend_.stopping();
  thread_.join();
}

void ReloadWorker::wanted() {
  {
    std::lock_guard lock(mutex_);
    wanted_ = true;
  }
  changed_.notify_all();
}

void ReloadWorker::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return wanted_ || stopping_; });
    if (stopping_) return;
    wanted_ = false;
    lock.unlock();
    (void)backend_.reload({});
    lock.lock();
  }
}

}  // namespace holdfast
