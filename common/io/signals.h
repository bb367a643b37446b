// Signals and calls from other threads, brought to the loop.
#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <vector>

#include "common/io/loop.h"

namespace holdfast {

// Calls back on the loop for each of the signals.
class SignalWatcher {
 public:
  SignalWatcher(Loop& loop, const std::vector<int>& numbers,
                std::function<void(int number)> callback);

 private:
  std::function<void(int)> callback_;
  std::vector<std::unique_ptr<Handle<uv_signal_t>>> handles_;
};

// Lets any thread make the loop call back soon; many calls may become one.
class Wakeup {
 public:
  Wakeup(Loop& loop, std::function<void()> callback);
  // Any thread, as long as this lives.
  void wake() { uv_async_send(handle_.get()); }

 private:
  std::function<void()> callback_;
  Handle<uv_async_t> handle_;
};

}  // namespace holdfast
