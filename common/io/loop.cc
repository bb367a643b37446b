#include "common/io/loop.h"

#include "common/base/host_refused.h"

namespace holdfast {
Loop::Loop() : read_buffer_(new std::uint8_t[kReadBufferSize]) {
  if (int error = uv_loop_init(&uv_); error != 0) host_refused("an event loop", -error);
  poller_ = std::make_unique<Poller>();
  timers_ = std::make_unique<TimerQueue>(*poller_);
  uv_ready_ = std::make_unique<Poller::Registration>(*poller_, uv_backend_fd(&uv_),
                                                     static_cast<Poller::Watcher&>(*this));
  uv_ready_->set(EPOLLIN);
}

Loop::~Loop() {
  uv_ready_.reset();
  timers_.reset();
  poller_.reset();
  // Close callbacks.
  for (int turn = 0; turn < 8 && uv_loop_alive(&uv_) != 0; ++turn) uv_run(&uv_, UV_RUN_NOWAIT);
  HOLDFAST_CHECK(uv_loop_close(&uv_) == 0);
}

void Loop::run(Task& task) {
  begin(task);
  while (!stopped_) turn();
  task_ = nullptr;
}

bool Loop::begin(Task& task) {
  task_ = &task;
  stopped_ = false;
  uv_run(&uv_, UV_RUN_NOWAIT);  // only here libuv puts new handles into its own set
  return more_ = end_turn();
}

bool Loop::turn() {
  poller_->wait(more_ ? 0 : uv_patience());
  if (uv_patience() == 0) uv_run(&uv_, UV_RUN_NOWAIT);
  return more_ = end_turn();
}

void Loop::on_ready(std::uint32_t) {
  uv_run(&uv_, UV_RUN_NOWAIT);
}

int Loop::uv_patience() const {
  return uv_loop_alive(&uv_) != 0 ? uv_backend_timeout(&uv_) : -1;
}

Time Loop::now() {
  if (!now_) now_ = read_boot_clock();
  return *now_;
}

Time Loop::refresh() {
  now_.reset();
  return now();
}

bool Loop::end_turn() {
  bool more = task_->end_of_turn();
  timers_->settle();
  Time began = now();  // of the first callback that asked
  Time ended = read_boot_clock();
  turns_.add(ended - began);
  last_turn_us_.store(ended.time_since_epoch().count(), std::memory_order_relaxed);
  now_.reset();
  return more || poller_->busy();
}

}  // namespace holdfast
