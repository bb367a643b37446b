// Time as an argument: instants of a clock that counts suspend (CLOCK_BOOTTIME), in microseconds.
//
// No function below common/net reads a clock. A simulator starts at zero, a daemon at boot.
#pragma once

#include <chrono>
#include <cstdint>

namespace holdfast {

struct BootClock {
  using rep = std::int64_t;
  using period = std::micro;
  using duration = std::chrono::duration<rep, period>;
  using time_point = std::chrono::time_point<BootClock>;
  static constexpr bool is_steady = true;
};

using Time = BootClock::time_point;
using Duration = BootClock::duration;

// Later than every instant: "no timer armed".
inline constexpr Time kNever = Time::max();

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace holdfast
