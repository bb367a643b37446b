// The sweep: a short exchange with half-close, cut at every byte offset of each direction.
#pragma once

#include <cstdint>

namespace holdfast::sim {

struct SweepOptions {
  std::uint64_t step = 1;        // every how many bytes a single cut
  std::uint64_t pair_step = 23;  // the grid of the pairs; 0: none
  bool tls = false;              // every byte of ciphertext, the handshake's included
};
// Prints as run_many() does; gives the number of failures.
std::uint64_t sweep(const SweepOptions& options);

}  // namespace holdfast::sim
