// SharedClient: a ClientShare for links on several loops. Any thread.
#pragma once

#include <algorithm>
#include <atomic>

#include "common/base/check.h"
#include "common/core/client_share.h"

namespace holdfast {

class SharedMemory final : public MemoryBound {
 public:
  void allow(std::uint64_t most) override { most_.store(most, std::memory_order_relaxed); }
  std::uint64_t room() const override {
    std::uint64_t most = most_.load(std::memory_order_relaxed);
    return most - std::min(most, used());
  }
  void change(std::uint64_t from, std::uint64_t to) override {
    used_.fetch_add(to - from, std::memory_order_relaxed);
  }
  std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> most_{UINT64_MAX};
  std::atomic<std::uint64_t> used_{0};
};

class SharedClient final : public ClientShare {
 public:
  void allow_streams(std::uint32_t most) override { most_.store(most); }
  bool take_stream() override {
    std::uint32_t taken = streams_.load();
    while (taken < most_.load()) {
      if (streams_.compare_exchange_weak(taken, taken + 1)) return true;
    }
    return false;
  }
  void give_back_stream() override {
    std::uint32_t before = streams_.fetch_sub(1);
    HOLDFAST_CHECK(before > 0);
  }
  SharedMemory& send() override { return send_; }
  SharedMemory& receive() override { return receive_; }

 private:
  std::atomic<std::uint32_t> most_{UINT32_MAX};
  std::atomic<std::uint32_t> streams_{0};
  SharedMemory send_;
  SharedMemory receive_;
};

}  // namespace holdfast
