// The sweep: a short exchange with half-close, cut at every byte offset of each direction.
#pragma once

#include <cstdint>

namespace holdfast::sim {

// All single cuts; of the pairs of cuts every one whose offsets fall on the grid `pair_step`.
// Prints as run_many() does; gives the number of failures.
std::uint64_t sweep(std::uint64_t pair_step);

}  // namespace holdfast::sim
