// ReloadWorker: reloads that a signal asks for, one after the other on a thread of their own: it
// reads files, and the loop must not wait for a disk.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "common/admin/admin_server.h"

namespace holdfast {

class ReloadWorker {
 public:
  // `backend` outlives this.
  explicit ReloadWorker(Backend& backend);
  // Lets a reload under way give up (Backend::stopping) and waits for it.
  ~ReloadWorker();
  ReloadWorker(const ReloadWorker&) = delete;
  ReloadWorker& operator=(const ReloadWorker&) = delete;

  // Soon; several wishes while one is under way become one. What comes of it is logged.
  void wanted();

 private:
  void run();

  Backend& backend_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool wanted_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace holdfast
