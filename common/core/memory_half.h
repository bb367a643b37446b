// MemoryHalf: one direction's half of a loop's memory for streams, and a link's part of it. See
// memory_pool.h.
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

// Where one direction's bytes of a link lie, and what they are charged to.
struct HalfMemory {
  BlockArena& arena;
  MemoryHalf& half;
  LinkShare& share;
  std::vector<BlockIndex>& pinned;  // blocks given back while a gather refers to them
};

}  // namespace holdfast
