// CRC-32 (the one of Ethernet and zlib), for what may be torn.
#pragma once

#include <array>
#include <cstdint>

#include "common/base/bytes.h"

namespace holdfast {

inline std::uint32_t crc32(Bytes bytes) {
  static constexpr auto kTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320U : 0U);
      table[i] = crc;
    }
    return table;
  }();
  std::uint32_t crc = 0xffffffff;
  for (std::uint8_t byte : bytes) crc = kTable[(crc ^ byte) & 255] ^ (crc >> 8);
  return ~crc;
}

}  // namespace holdfast
