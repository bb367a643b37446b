// Amounts as people read them. Programs get base units (seconds, bytes) instead.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/time.h"

namespace holdfast {

// "24.1ms", "0.8s", "12s", "3m12s", "2h05m", "4d3h". Never negative.
std::string show_duration(Duration duration);
// "512 B", "1.2 MiB".
std::string show_bytes(std::uint64_t bytes);

}  // namespace holdfast
