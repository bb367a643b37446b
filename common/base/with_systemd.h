// What this build was made with.
#pragma once

namespace holdfast {

// CMake's HOLDFAST_SYSTEMD. Without libsystemd no service manager is told anything, no socket is
// taken from one, and the journal gets lines of text only. A config that asks for more is refused.
inline constexpr bool kWithSystemd = HOLDFAST_SYSTEMD != 0;

// Why, for people.
inline constexpr const char* kNoSystemd = "this build has no libsystemd";

}  // namespace holdfast
