#include "common/net/loop.h"

namespace holdfast {

Loop::Loop() : read_buffer_(new std::uint8_t[kReadBufferSize]) {
  HOLDFAST_CHECK(uv_loop_init(&uv_) == 0);
  poller_ = std::make_unique<Poller>(&uv_);
  timers_ = std::make_unique<TimerQueue>(*poller_);
  check_ = std::make_unique<Handle<uv_check_t>>(
      this, [&](uv_check_t* handle) { return uv_check_init(&uv_, handle); });
  idle_ = std::make_unique<Handle<uv_idle_t>>(
      this, [&](uv_idle_t* handle) { return uv_idle_init(&uv_, handle); });
}

Loop::~Loop() {
  close();
}

bool Loop::close() {
  if (closed_) return true;
  idle_.reset();
  check_.reset();
  timers_.reset();
  poller_.reset();
  // Close callbacks; look-ups that hang do not hold us up.
  for (int turn = 0; turn < 8 && uv_loop_alive(&uv_) != 0; ++turn) uv_run(&uv_, UV_RUN_NOWAIT);
  closed_ = uv_loop_close(&uv_) == 0;
  return closed_;
}

void Loop::run(Task& task) {
  task_ = &task;
  uv_check_start(check_->get(), [](uv_check_t* handle) {
    auto* loop = Handle<uv_check_t>::owner_of<Loop>(handle);
    if (loop != nullptr) loop->end_turn();
  });
  end_turn();
  uv_run(&uv_, UV_RUN_DEFAULT);
  uv_check_stop(check_->get());
  uv_idle_stop(idle_->get());
  task_ = nullptr;
}

Time Loop::now() {
  if (!now_) now_ = read_boot_clock();
  return *now_;
}

Time Loop::refresh() {
  now_.reset();
  return now();
}

void Loop::end_turn() {
  poller_->run_kicked();
  bool more = task_->end_of_turn();
  timers_->settle();
  last_turn_us_.store(now().time_since_epoch().count(), std::memory_order_relaxed);
  now_.reset();
  if (more || poller_->busy()) {
    uv_idle_start(idle_->get(), [](uv_idle_t*) {});  // keeps libuv from sleeping
  } else {
    uv_idle_stop(idle_->get());
  }
}

}  // namespace holdfast
