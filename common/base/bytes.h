// Views of bytes that somebody else owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace holdfast {

using Bytes = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

inline constexpr std::size_t kKiB = 1024;
inline constexpr std::size_t kMiB = 1024 * kKiB;

}  // namespace holdfast
