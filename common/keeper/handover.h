// What a keeper tells itself when it executes itself anew: the page as text, in the environment.
//
// Another version may read it. It does not know all of it, or misses something: a word that it does
// not know it skips, one that is missing keeps its first value.
#pragma once

#include <optional>
#include <string>

#include "common/keeper/page.h"

namespace holdfast {

inline constexpr const char* kHandoverVariable = "HOLDFAST_HANDOVER";

// The format of the state that an agent of this build leaves: MAJOR.MINOR. A program reads its own
// major and the one before.
inline constexpr const char* kStateFormat = "1.0";
bool can_read_state(const std::string& format);
// What keeper and agents ask a program before it is given a state, in place of a command line:
// PROG --can-read FORMAT. The exit code, 0 for yes; none: nobody asked.
inline constexpr const char* kCanReadOption = "--can-read";
std::optional<int> asked_for_state(int argc, const char* const* argv);

// For the program that this process becomes. `oom_score`: what its agents are to have.
std::string handover_text(const Page& page, const std::string& oom_score);

// Fills the page. False: it is not of this process (left over in an environment, say), or is no
// such text; the page is as it was.
bool take_handover(const std::string& text, Page& page, std::string& oom_score);
// The same of another process, whose descriptors this one has under their numbers (parking.h). What
// this process was started with stays as it is.
bool take_parked_text(const std::string& text, Page& page);

}  // namespace holdfast
