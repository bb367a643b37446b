// What follows an agent's death.
//
// A death by SIGKILL says nothing of the state, unless it came before the agent served and may have
// been the kernel's, which kills who takes too much while it recovers. A crash does, also soon
// afterwards: what is in the state may be what it died of. After kMostDeaths in a row the state is
// given up, and after as many again, when there was nothing left to lose, the keeper ends as its
// agents did: whoever started it decides.
#pragma once

#include <cstdint>
#include <optional>

#include "common/base/time.h"

namespace holdfast {

inline constexpr std::uint32_t kMostDeaths = 3;
// Who crashes after this long has not died of what it recovered.
inline constexpr Duration kProvenAfter = seconds(10);
// Who lived less is not followed at once.
inline constexpr Duration kShortLife = seconds(1);

struct DeathFacts {
  int signal = 0;
  bool served = false;  // it had committed its state
  Duration lived{};
  // SIGKILL: neither the kernel, for memory, nor the keeper, of an agent that stood still, sent it.
  bool from_outside = false;
};

// A signal that a process causes itself.
bool is_crash(int signal);
// A signal that asks for the end, of which only an agent dies that cannot listen yet.
bool asks_for_end(int signal);

// Of deaths in a row, with this one.
std::uint32_t deaths_in_row(std::uint32_t before, const DeathFacts& death);

struct Verdict {
  bool discard = false;  // the state
  bool give_up = false;
};
Verdict judge(std::uint32_t deaths_in_row);

// It lived less than kShortLife, and not because somebody killed it once it served: whoever does
// that again and again makes no loop of its own, and connections wait for the next one.
bool was_short(const DeathFacts& death);

// Before the next start; `short_lives`: in a row.
Duration pause_before_start(std::uint32_t short_lives);

}  // namespace holdfast
