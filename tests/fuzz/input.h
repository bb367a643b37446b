// Reads decisions from a fuzzer's bytes; past their end every answer is 0.
#pragma once

#include <cstdio>
#include <cstdlib>

#include "common/base/bytes.h"

// A wrong answer, as opposed to a crash: says where and stops.
#define FUZZ_CHECK(condition)                                                            \
  do {                                                                                   \
    if (!(condition)) {                                                                  \
      std::fprintf(stderr, "fuzz: %s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (false)

namespace holdfast::fuzz {

class Input {
 public:
  explicit Input(Bytes bytes) : rest_(bytes) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    std::uint8_t value = rest_[0];
    rest_ = rest_.subspan(1);
    return value;
  }
  std::uint32_t number() {
    std::uint32_t high = byte();
    return high << 8 | byte();
  }
  // Mostly small, sometimes at the edges of 64 bits.
  std::uint64_t offset() {
    std::uint8_t kind = byte();
    if (kind < 200) return byte();
    if (kind < 240) return number();
    if (kind < 248) return (std::uint64_t{1} << (byte() % 64)) - 1;
    return ~std::uint64_t{0} - byte();
  }
  Bytes take(std::size_t most) {
    Bytes part = rest_.first(std::min(most, rest_.size()));
    rest_ = rest_.subspan(part.size());
    return part;
  }
  Bytes rest() const { return rest_; }

 private:
  Bytes rest_;
};

}  // namespace holdfast::fuzz
