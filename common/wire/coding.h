// Big-endian integers and length-prefixed text, to and from bytes that somebody else owns.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/check.h"

namespace holdfast {

template <typename T>
inline void store_big_endian(std::uint8_t* to, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    to[i] = static_cast<std::uint8_t>(value >> (8 * (sizeof(T) - 1 - i)));
  }
}

template <typename T>
inline T load_big_endian(const std::uint8_t* from) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value = (value << 8) | from[i];
  return static_cast<T>(value);
}

// Appends to a buffer that the caller made large enough; running over is our own bug.
class Writer {
 public:
  explicit Writer(MutableBytes buffer) : buffer_(buffer) {}

  template <typename T>
  void integer(T value) {
    HOLDFAST_CHECK(buffer_.size() - size_ >= sizeof(T));
    store_big_endian(buffer_.data() + size_, value);
    size_ += sizeof(T);
  }
  void bytes(Bytes value) {
    HOLDFAST_CHECK(buffer_.size() - size_ >= value.size());
    if (!value.empty()) std::memcpy(buffer_.data() + size_, value.data(), value.size());
    size_ += value.size();
  }
  // One length byte, then the text; at most 255 bytes.
  void short_text(std::string_view text) {
    HOLDFAST_CHECK(text.size() <= 255);
    integer(static_cast<std::uint8_t>(text.size()));
    bytes(Bytes(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
  }

  std::size_t size() const { return size_; }

 private:
  MutableBytes buffer_;
  std::size_t size_ = 0;
};

// Reads from the front; what does not fit sets failed() for good and yields zeroes.
class Reader {
 public:
  explicit Reader(Bytes bytes) : rest_(bytes) {}

  template <typename T>
  T integer() {
    if (rest_.size() < sizeof(T)) return fail(), T{};
    T value = load_big_endian<T>(rest_.data());
    rest_ = rest_.subspan(sizeof(T));
    return value;
  }
  Bytes bytes(std::size_t count) {
    if (rest_.size() < count) return fail(), Bytes{};
    Bytes value = rest_.first(count);
    rest_ = rest_.subspan(count);
    return value;
  }
  std::string_view short_text() {
    Bytes value = bytes(integer<std::uint8_t>());
    return {reinterpret_cast<const char*>(value.data()), value.size()};
  }

  Bytes rest() const { return rest_; }
  bool failed() const { return failed_; }
  // True when everything was there and nothing is left over.
  bool complete() const { return !failed_ && rest_.empty(); }

 private:
  void fail() {
    failed_ = true;
    rest_ = {};
  }

  Bytes rest_;
  bool failed_ = false;
};

}  // namespace holdfast
