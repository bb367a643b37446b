// What the user of the packaged units sees of the files that a config names: `check` is run by root
// mostly, which may read everything.
#pragma once

#include <functional>
#include <vector>

#include "common/config/problem.h"

namespace holdfast {

// Runs `load` as root and, where that user exists, as him (setfsuid(2)): what only he meets, as
// warnings. Nothing where this process is not root. For a process of one thread.
std::vector<Problem> problems_of_unit_user(const std::vector<Problem>& own,
                                           const std::function<std::vector<Problem>()>& load);

}  // namespace holdfast
