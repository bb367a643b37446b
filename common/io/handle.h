// Handle: a libuv handle whose memory lives until libuv gives it back.
//
// libuv may touch a handle until its close callback has run, so the memory belongs to libuv from
// uv_close() on and is freed there, and nowhere else. After destruction no callback finds an owner.
#pragma once

#include <uv.h>

#include <utility>

#include "common/base/host_refused.h"

namespace holdfast {

template <typename Uv>
class Handle {
 public:
  // `init` is the uv_*_init call; it gets the memory. Handles are made while the process begins.
  template <typename Init>
  Handle(void* owner, Init init) : uv_(new Uv) {
    if (int error = init(uv_); error != 0) host_refused("a handle of its event loop", -error);
    uv_->data = owner;
  }
  ~Handle() {
    uv_->data = nullptr;
    uv_close(base(), [](uv_handle_t* handle) { delete reinterpret_cast<Uv*>(handle); });
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  Uv* get() { return uv_; }
  uv_handle_t* base() { return reinterpret_cast<uv_handle_t*>(uv_); }

  // In a callback: the owner given to the constructor, or nullptr once it is gone.
  template <typename Owner>
  static Owner* owner_of(Uv* uv) {
    return static_cast<Owner*>(uv->data);
  }

 private:
  Uv* uv_;
};

}  // namespace holdfast
