#include "common/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace holdfast {

void check_failed(const char* file, int line, const char* condition) noexcept {
  (void)std::fprintf(stderr, "holdfast: internal error at %s:%d: %s\n", file, line, condition);
  std::abort();
}

}  // namespace holdfast
