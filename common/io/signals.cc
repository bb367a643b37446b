#include "common/io/signals.h"

namespace holdfast {

SignalWatcher::SignalWatcher(Loop& loop, const std::vector<int>& numbers,
                             std::function<void(int number)> callback)
    : callback_(std::move(callback)) {
  for (int number : numbers) {
    auto handle = std::make_unique<Handle<uv_signal_t>>(
        this, [&](uv_signal_t* signal) { return uv_signal_init(loop.uv(), signal); });
    auto told = [](uv_signal_t* signal, int which) {
      auto* watcher = Handle<uv_signal_t>::owner_of<SignalWatcher>(signal);
      if (watcher != nullptr) watcher->callback_(which);
    };
    int error = uv_signal_start(handle->get(), told, number);
    if (error != 0) host_refused("to watch a signal", -error);
    handles_.push_back(std::move(handle));
  }
}

Wakeup::Wakeup(Loop& loop, std::function<void()> callback)
    : callback_(std::move(callback)), handle_(this, [&](uv_async_t* async) {
        return uv_async_init(loop.uv(), async, [](uv_async_t* woken) {
          auto* wakeup = Handle<uv_async_t>::owner_of<Wakeup>(woken);
          if (wakeup != nullptr) wakeup->callback_();
        });
      }) {}

}  // namespace holdfast
