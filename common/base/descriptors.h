// What this process has open.
#pragma once

#include <vector>

namespace holdfast {

// Every open descriptor, ascending. Where /proc is not mounted each possible one is asked for.
std::vector<int> open_descriptors();

}  // namespace holdfast
