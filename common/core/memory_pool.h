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
#include <vector>

#include "common/core/block_arena.h"
#include "common/core/client_share.h"

namespace holdfast {

// One link's part of the shared memory; the cap is what a configuration allows it at most, alone
// and with its client's other links.
struct LinkShare {
  std::uint64_t used = 0;
  std::uint64_t cap = UINT64_MAX;
  MemoryBound* together = nullptr;
};

// One direction's half.
class MemoryHalf {
 public:
  explicit MemoryHalf(std::uint64_t shared) : shared_(shared) {}

  std::uint64_t free() const { return shared_ - std::min(used_, shared_); }
  std::uint64_t used() const { return used_; }

  // How much a stream that now holds `held` shared bytes may hold in all.
  std::uint64_t allowance(std::uint64_t held, const LinkShare& link) const {
    std::uint64_t more = free() / tuning::kStreamShare;
    std::uint64_t link_most = std::min(free() * tuning::kLinkShare, link.cap);
    std::uint64_t link_more = link_most - std::min(link_most, link.used);
    if (link.together != nullptr) link_more = std::min(link_more, link.together->room());
    return std::max(held, std::min(more, held + std::min(link_more, free())));
  }

  // A stream's part changed; both numbers are its shared bytes.
  void change(std::uint64_t from, std::uint64_t to, LinkShare& link) {
    if (from == to) return;
    used_ = used_ - from + to;
    link.used = link.used - from + to;
    if (link.together != nullptr) link.together->change(from, to);
  }

 private:
  std::uint64_t shared_;
  std::uint64_t used_ = 0;
};

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
  MemoryPool(std::uint64_t memory, std::uint32_t streams, StreamQuota* quota = nullptr)
      : memory_(memory),
        max_streams_(streams),
        quota_(quota),
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
  BlockArena arena;
  MemoryHalf send;
  MemoryHalf receive;
};

// Where one direction's bytes of a link lie, and what they are charged to.
struct HalfMemory {
  BlockArena& arena;
  MemoryHalf& half;
  LinkShare& share;
  std::vector<BlockIndex>& pinned;  // blocks given back while a gather refers to them
};

}  // namespace holdfast
