// CHECK: our own invariants, on in every build.
//
// A failed CHECK is a bug in Holdfast, never bad input: what a peer, a file or an application sends
// is answered with a value (see result.h). It prints the place and the condition, then aborts.
#pragma once

namespace holdfast {

[[noreturn]] void check_failed(const char* file, int line, const char* condition) noexcept;

}  // namespace holdfast

#define HOLDFAST_CHECK(condition)                      \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::holdfast::check_failed(__FILE__, __LINE__, #condition))
