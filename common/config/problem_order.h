// The order in which problems are shown.
#pragma once

#include <vector>

#include "common/config/problem.h"

namespace holdfast {

// Errors first, then warnings, each by file, in the order in which the files come up, and line.
std::vector<Problem> in_reading_order(std::vector<Problem> problems);

}  // namespace holdfast
