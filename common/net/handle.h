// Handle: a libuv handle whose memory lives until libuv gives it back.
//
// libuv may touch a handle until its close callback has run, so the memory belongs to libuv from
// uv_close() on and is freed there, and nowhere else. After destruction no callback finds an owner.
#pragma once

#include <uv.h>

#include <utility>

#include "common/base/check.h"

namespace holdfast {

template <typename Uv>
class Handle {
 public:
  // `init` is the uv_*_init call; it gets the memory and must succeed.
  template <typename Init>
  Handle(void* owner, Init init) : uv_(new Uv) {
    HOLDFAST_CHECK(init(uv_) == 0);
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
