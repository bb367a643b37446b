// libuv as the agents use it: a loop that is embedded in theirs, for calls from other threads. For
// a simulated process it is here; for everybody else it is libuv's own.
#include <uv.h>

#include <memory>
#include <utility>
#include <vector>

#include "tests/sim/kernel/process.h"
#include "tests/sim/kernel/wrapped.h"

namespace holdfast::sim {
namespace {

// What a uv_loop_t's `data` points to: its backend, as libuv's own is an epoll set.
class UvLoop final : public File {
 public:
  UvLoop() : File(Kind::libuv) {}
  ~UvLoop() override {
    for (Closing& each : closing) each.callback(each.handle);
  }
  std::uint32_t readiness() const override {
    return ready() ? static_cast<std::uint32_t>(EPOLLIN) : 0U;
  }
  bool ready() const { return !called.empty() || !closing.empty(); }

  struct Closing {
    uv_handle_t* handle;
    uv_close_cb callback;
  };
  int descriptor = -1;
  std::size_t handles = 0;
  std::vector<uv_async_t*> called;
  std::vector<Closing> closing;
};

UvLoop& loop_of(const uv_loop_t* loop) {
  return *static_cast<UvLoop*>(loop->data);
}

bool simulated() {
  return Process::running() != nullptr;
}

void run(UvLoop& loop) {
  for (uv_async_t* each : std::exchange(loop.called, {})) each->async_cb(each);
  for (UvLoop::Closing& each : std::exchange(loop.closing, {})) each.callback(each.handle);
}

}  // namespace
}  // namespace holdfast::sim

using namespace holdfast::sim;  // NOLINT(google-build-using-namespace): the functions are C's

HOLDFAST_WRAPPED(int, uv_loop_init, (uv_loop_t * loop)) {
  if (!simulated()) return __real_uv_loop_init(loop);
  auto made = std::make_unique<UvLoop>();
  UvLoop& ours = *made;
  ours.descriptor = Process::running()->add(std::move(made));
  loop->data = &ours;
  return 0;
}

HOLDFAST_WRAPPED(int, uv_backend_fd, (const uv_loop_t* loop)) {
  return simulated() ? loop_of(loop).descriptor : __real_uv_backend_fd(loop);
}

HOLDFAST_WRAPPED(int, uv_backend_timeout, (const uv_loop_t* loop)) {
  if (!simulated()) return __real_uv_backend_timeout(loop);
  if (Process::running()->dead()) return -1;
  return loop_of(loop).closing.empty() ? -1 : 0;
}

HOLDFAST_WRAPPED(int, uv_loop_alive, (const uv_loop_t* loop)) {
  if (!simulated()) return __real_uv_loop_alive(loop);
  if (Process::running()->dead()) return 0;
  const UvLoop& ours = loop_of(loop);
  return ours.handles != 0 || ours.ready() ? 1 : 0;
}

HOLDFAST_WRAPPED(int, uv_run, (uv_loop_t * loop, uv_run_mode mode)) {
  if (!simulated()) return __real_uv_run(loop, mode);
  if (!Process::running()->dead()) run(loop_of(loop));
  return __wrap_uv_loop_alive(loop);
}

HOLDFAST_WRAPPED(int, uv_loop_close, (uv_loop_t * loop)) {
  if (!simulated()) return __real_uv_loop_close(loop);
  if (__wrap_uv_loop_alive(loop) != 0) return UV_EBUSY;
  return 0;
}

HOLDFAST_WRAPPED(int, uv_async_init, (uv_loop_t * loop, uv_async_t* async, uv_async_cb callback)) {
  if (!simulated()) return __real_uv_async_init(loop, async, callback);
  async->loop = loop;
  async->async_cb = callback;
  loop_of(loop).handles += 1;
  return 0;
}

HOLDFAST_WRAPPED(int, uv_async_send, (uv_async_t * async)) {
  if (!simulated()) return __real_uv_async_send(async);
  UvLoop& loop = loop_of(async->loop);
  loop.called.push_back(async);
  loop.notify(EPOLLIN);
  return 0;
}

HOLDFAST_WRAPPED(void, uv_close, (uv_handle_t * handle, uv_close_cb callback)) {
  if (!simulated()) return __real_uv_close(handle, callback);
  if (Process::running()->dead()) return callback(handle);
  UvLoop& loop = loop_of(handle->loop);
  loop.handles -= 1;
  std::erase(loop.called, reinterpret_cast<uv_async_t*>(handle));
  loop.closing.push_back({handle, callback});
  loop.notify(EPOLLIN);
}
