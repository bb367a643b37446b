// MemoryPool: one loop's memory for streams, and who may take how much of it. The number of streams
// may be one for several loops (StreamQuota).
//
// Half is for send logs, half for received bytes and the credit that was promised for them, so
// that a full log never stops the reading of acks. Every stream owns its floor in both; what lies
// above all floors is shared: a stream takes at most a fraction of what is free (tuning.h), and
// so does a link. Sizes are bytes of blocks.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/core/memory_half.h"
#include "common/core/state_region.h"

namespace holdfast {

// Counts streams where several pools share one limit.
class StreamQuota {
 public:
  virtual bool take() = 0;  // false: all are taken
  virtual void give_back() = 0;
  virtual bool full() const = 0;
  virtual std::uint32_t most() const = 0;

 protected:
  ~StreamQuota() = default;
};

class MemoryPool {
 public:
  // Bytes of floors of one stream, each way.
  static constexpr std::uint64_t kStreamFloor = tuning::kFloorBlocks * tuning::kBlockSize;

  // `memory` in bytes for both halves; `streams`: how many may live at once. Where the floors of
  // so many do not fit, there is no shared part and admit() still holds to `streams`.
  // With a quota that holds for all pools together instead, and `streams` is only this pool's part
  // of the floors: what all shared parts leave is enough for the floors of the quota's streams,
  // whichever pool they are in.
  // `make` makes the memory that all of it lies in.
  MemoryPool(std::uint64_t memory, std::uint32_t streams, StreamQuota* quota = nullptr,
             const MakeRegionMemory& make = make_plain_memory, StateRegion::Room room = {})
      : memory_(memory),
        max_streams_(streams),
        quota_(quota),
        region(memory, quota != nullptr ? quota->most() : streams, make, room),
        arena(region.arena()),
        send(shared_part(memory, streams)),
        receive(shared_part(memory, streams)) {}

  bool admit() {
    if (quota_ != nullptr ? !quota_->take() : full()) return false;
    streams_ += 1;
    return true;
  }
  void leave() {
    HOLDFAST_CHECK(streams_ > 0);
    streams_ -= 1;
    if (quota_ != nullptr) quota_->give_back();
  }
  bool full() const { return quota_ != nullptr ? quota_->full() : streams_ >= max_streams_; }
  std::uint32_t streams() const { return streams_; }
  // Of all pools that share the quota.
  std::uint32_t max_streams() const { return quota_ != nullptr ? quota_->most() : max_streams_; }
  std::uint64_t memory() const { return memory_; }

 private:
  static std::uint64_t shared_part(std::uint64_t memory, std::uint32_t streams) {
    std::uint64_t half = memory / 2;
    return half - std::min(half, kStreamFloor * streams);
  }

  std::uint64_t memory_;
  std::uint32_t max_streams_;
  StreamQuota* quota_;
  std::uint32_t streams_ = 0;

 public:
  StateRegion region;
  BlockArena& arena;
  MemoryHalf send;
  MemoryHalf receive;
};

}  // namespace holdfast
