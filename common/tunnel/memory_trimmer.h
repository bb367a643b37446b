// MemoryTrimmer: gives memory that a burst left behind back to the system, every few seconds.
#pragma once

#include "common/core/memory_pool.h"
#include "common/io/loop.h"

namespace holdfast {

class MemoryTrimmer {
 public:
  // Both must outlive it.
  MemoryTrimmer(Loop& loop, MemoryPool& pool)
      : loop_(loop), pool_(pool), timer_(loop.timers(), [this] { trim(); }) {
    arm();
  }

 private:
  // A chunk goes when it was left alone for a whole period.
  static constexpr Duration kPeriod = seconds(2);

  void arm() { timer_.arm(loop_.now() + kPeriod); }
  void trim() {
    pool_.arena.trim();
    arm();
  }

  Loop& loop_;
  MemoryPool& pool_;
  Timer timer_;
};

}  // namespace holdfast
