// What the kernel says of a carrier's path.
#pragma once

#include <optional>

#include "common/core/path_report.h"

namespace holdfast {

// Of a TCP socket that is connected (Linux 5.5 or later); nothing where the kernel does not say.
std::optional<PathReport> read_path(int descriptor);

}  // namespace holdfast
