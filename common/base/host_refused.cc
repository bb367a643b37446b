#include "common/base/host_refused.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <system_error>

namespace holdfast {

void host_refused(const char* what, int error) noexcept {
  std::string reason = std::generic_category().message(error);
  std::fprintf(stderr, "holdfast: the host refuses %s: %s\n", what, reason.c_str());
  std::_Exit(1);
}

}  // namespace holdfast
