// The order in which problems are shown.
#pragma once

#include <vector>

#include "common/config/problem.h"

namespace holdfast {

// Errors first, then warnings, each by line; otherwise as they were found.
std::vector<Problem> in_reading_order(std::vector<Problem> problems);

}  // namespace holdfast
