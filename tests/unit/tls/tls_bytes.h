// Reading what was sent of a TLS handshake (RFC 8446).
#pragma once

#include <cstddef>
#include <string>

#include "tests/catch.h"

namespace holdfast::test {

// Of so many bytes from `at` on, the most significant first.
inline std::size_t number(const std::string& text, std::size_t at, std::size_t bytes) {
  REQUIRE(at + bytes <= text.size());
  std::size_t value = 0;
  for (std::size_t i = at; i < at + bytes; ++i) {
    value = value << 8 | static_cast<unsigned char>(text[i]);
  }
  return value;
}

}  // namespace holdfast::test
