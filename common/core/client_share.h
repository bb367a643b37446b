// ClientShare: what all links of one client have together at a server, on whatever loops they are.
// Any thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "common/base/check.h"

namespace holdfast {

class ClientShare {
 public:
  // Shared memory of one direction, in bytes.
  class Half {
   public:
    void allow(std::uint64_t most) { most_.store(most, std::memory_order_relaxed); }
    std::uint64_t room() const {
      std::uint64_t most = most_.load(std::memory_order_relaxed);
      return most - std::min(most, used());
    }
    std::uint64_t used() const { return used_.load(std::memory_order_relaxed); }
    // A stream's part changed.
    void change(std::uint64_t from, std::uint64_t to) {
      if (from != to) used_.fetch_add(to - from, std::memory_order_relaxed);
    }

   private:
    std::atomic<std::uint64_t> most_{UINT64_MAX};
    std::atomic<std::uint64_t> used_{0};
  };

  void allow_streams(std::uint32_t most) { most_.store(most); }
  // False: the client has as many as it may.
  bool take_stream() {
    std::uint32_t taken = streams_.load();
    while (taken < most_.load()) {
      if (streams_.compare_exchange_weak(taken, taken + 1)) return true;
    }
    return false;
  }
  void give_back_stream() {
    std::uint32_t before = streams_.fetch_sub(1);
    HOLDFAST_CHECK(before > 0);
  }

  Half send;
  Half receive;

 private:
  std::atomic<std::uint32_t> most_{UINT32_MAX};
  std::atomic<std::uint32_t> streams_{0};
};

}  // namespace holdfast
