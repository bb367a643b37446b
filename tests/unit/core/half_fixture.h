// One direction's memory, as a Link has it, for tests of a half alone.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "common/core/memory_pool.h"

namespace holdfast {

struct HalfFixture {
  explicit HalfFixture(std::uint64_t memory = 64 * kMiB) : pool(memory, 16) {}

  MemoryPool pool;
  LinkShare share;
  std::vector<BlockIndex> pinned;
  HalfMemory send{pool.arena, pool.send, share, pinned};
  HalfMemory receive{pool.arena, pool.receive, share, pinned};
};

inline Bytes bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline std::string text_of(std::span<const iovec> buffers) {
  std::string text;
  for (const iovec& each : buffers)
    text.append(static_cast<const char*>(each.iov_base), each.iov_len);
  return text;
}

}  // namespace holdfast
