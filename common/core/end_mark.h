// EndMark: how one direction of a stream ends. FIN and ABORT take one offset each, after the bytes
// (PROTOCOL.md, rule 8).
#pragma once

#include <cstdint>

namespace holdfast {

enum class EndMark : std::uint8_t { none, fin, abort, fin_then_abort };

constexpr bool has_fin(EndMark mark) {
  return mark == EndMark::fin || mark == EndMark::fin_then_abort;
}
constexpr bool has_abort(EndMark mark) {
  return mark == EndMark::abort || mark == EndMark::fin_then_abort;
}
constexpr std::uint64_t mark_count(EndMark mark) {
  return mark == EndMark::none ? 0 : mark == EndMark::fin_then_abort ? 2 : 1;
}
constexpr EndMark with_abort(EndMark mark) {
  return mark == EndMark::fin ? EndMark::fin_then_abort : EndMark::abort;
}

}  // namespace holdfast
