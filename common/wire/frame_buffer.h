// Building frames of any length in a Buffer, and telling what is wrong with one: for the codecs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/result.h"
#include "common/wire/coding.h"
#include "common/wire/constants.h"
#include "common/wire/frames.h"

namespace holdfast {

inline void put_bytes(Buffer& out, Bytes bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

template <typename T>
inline void put(Buffer& out, T value) {
  std::uint8_t raw[sizeof(T)];
  store_big_endian(raw, value);
  put_bytes(out, raw);
}

// Starts a frame whose length is filled in by end_frame.
inline std::size_t begin_frame(Buffer& out, FrameType type) {
  put(out, static_cast<std::uint8_t>(type));
  out.insert(out.end(), 3, 0);
  return out.size();
}

inline void end_frame(Buffer& out, std::size_t payload_begin) {
  std::size_t length = out.size() - payload_begin;
  HOLDFAST_CHECK(length <= kMaxControlPayload);
  out[payload_begin - 3] = static_cast<std::uint8_t>(length >> 16);
  out[payload_begin - 2] = static_cast<std::uint8_t>(length >> 8);
  out[payload_begin - 1] = static_cast<std::uint8_t>(length);
}

inline Error bad(std::string_view frame, std::string_view what) {
  return Error{"malformed " + std::string(frame) + ": " + std::string(what)};
}

}  // namespace holdfast
