// How loops share a limit of the whole process.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace holdfast {

// The loop's part of what is counted; at least 1. The first ones have what cannot be divided.
inline std::uint32_t part_of(std::uint32_t all, std::size_t loops, std::size_t loop) {
  auto count = static_cast<std::uint32_t>(loops);
  return std::max(all / count + (loop < all % count ? 1U : 0U), 1U);
}

}  // namespace holdfast
