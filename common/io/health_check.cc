#include "common/io/health_check.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace holdfast {
namespace {

constexpr std::array<std::string_view, 6> kMethods = {"GET ",  "HEAD ",   "OPTIONS ",
                                                      "POST ", "CONNECT", "PRI * "};

bool begins_with(Bytes first, std::string_view word) {
  std::string_view text(reinterpret_cast<const char*>(first.data()), first.size());
  return text.size() >= word.size() && text.starts_with(word);
}

constexpr std::uint8_t kHandshakeRecord = 22;  // RFC 8446, 5.1

bool is_handshake(Bytes first) {
  return first.size() >= 3 && first[0] == kHandshakeRecord && first[1] == 3;
}

// RFC 6101, E: two bytes of length with the highest bit set, then the type of a hello.
bool is_ssl2_hello(Bytes first) {
  return first.size() >= 3 && (first[0] & 0x80) != 0 && first[2] == 1;
}

}  // namespace

bool begins_like_a_check(Bytes first) {
  bool http = std::any_of(kMethods.begin(), kMethods.end(),
                          [&](std::string_view word) { return begins_with(first, word); });
  // A hello of TLS says 1 or later here, in all implementations.
  bool ssl3 = is_handshake(first) && first[2] == 0;
  return first.empty() || http || ssl3 || is_ssl2_hello(first);
}

bool is_check_without_header(Bytes first) {
  return begins_like_a_check(first) || is_handshake(first);
}

}  // namespace holdfast
