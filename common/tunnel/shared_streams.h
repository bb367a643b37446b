// SharedStreams: one limit of connections for all loops of a process. Any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

#include "common/base/check.h"
#include "common/core/memory_pool.h"

namespace holdfast {

class SharedStreams final : public StreamQuota {
 public:
  // `room`: there is room where there was none; called on the thread that made it.
  explicit SharedStreams(std::uint32_t most, std::function<void()> room = nullptr)
      : most_(most), room_(std::move(room)) {}

  bool take() override {
    std::uint32_t taken = taken_.load();
    while (taken < most_) {
      if (taken_.compare_exchange_weak(taken, taken + 1)) return true;
    }
    return false;
  }
  void give_back() override {
    std::uint32_t before = taken_.fetch_sub(1);
    HOLDFAST_CHECK(before > 0);
    if (before == most_ && room_) room_();
  }
  bool full() const override { return taken_.load() >= most_; }
  std::uint32_t most() const override { return most_; }
  std::uint32_t taken() const { return taken_.load(); }
  // Nobody is told any more; while no thread runs.
  void forget_waiters() { room_ = nullptr; }

 private:
  const std::uint32_t most_;
  std::function<void()> room_;
  std::atomic<std::uint32_t> taken_{0};
};

}  // namespace holdfast
