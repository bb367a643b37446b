// What the kernel says of a carrier's path.
#pragma once

#include <optional>

#include "common/core/path_report.h"

namespace holdfast {

// Of a TCP socket that is connected (Linux 5.5 or later); nothing where the kernel does not say.
std::optional<PathReport> read_path(int descriptor);

// What the kernel says of a carrier over Multipath TCP as a whole: positions in the sequence of its
// bytes, from wherever it began. TCP_INFO is of one of its paths only.
struct Multipath {
  std::uint64_t acked = 0;     // of ours, up to here
  std::uint64_t queued = 0;    // of ours, behind that
  std::uint64_t received = 0;  // of the peer's, up to here
  std::uint32_t subflows = 0;  // paths now
};
// Nothing for a socket that is plain TCP, or fell back to it (Linux 5.17 or later).
std::optional<Multipath> read_multipath(int descriptor);

}  // namespace holdfast
