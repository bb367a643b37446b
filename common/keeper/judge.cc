#include "common/keeper/judge.h"

#include <signal.h>

#include <algorithm>
#include <array>

namespace holdfast {

bool is_crash(int signal) {
  constexpr std::array kCrashes{SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGSYS, SIGTRAP};
  return std::find(kCrashes.begin(), kCrashes.end(), signal) != kCrashes.end();
}

bool asks_for_end(int signal) {
  return signal == SIGTERM || signal == SIGINT || signal == SIGQUIT;
}

std::uint32_t deaths_in_row(std::uint32_t before, const DeathFacts& death) {
  if (death.signal == SIGKILL && death.from_outside && !death.served) return before;
  bool proven = death.served && (!is_crash(death.signal) || death.lived >= kProvenAfter);
  return proven ? 0 : before + 1;
}

Verdict judge(std::uint32_t deaths_in_row) {
  return {deaths_in_row >= kMostDeaths, deaths_in_row >= 2 * kMostDeaths};
}

bool was_short(const DeathFacts& death) {
  return death.lived < kShortLife && (is_crash(death.signal) || !death.served);
}

Duration pause_before_start(std::uint32_t short_lives) {
  constexpr std::array kPauses{milliseconds(0), milliseconds(50), milliseconds(200),
                               milliseconds(1000)};
  return kPauses[std::min<std::size_t>(short_lives, kPauses.size() - 1)];
}

}  // namespace holdfast
