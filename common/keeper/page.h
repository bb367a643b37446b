// Page: the 4 KiB that a keeper shares with its agents, one after the other. It is the keeper's
// mapping (MAP_SHARED, anonymous), and lives as long as the keeper; what is to stay when the keeper
// executes itself anew goes along as text (handover.h).
//
// Each word has one writer. What the keeper writes is plain: it does so while there is no agent,
// and an agent reads it at its start. What an agent writes is atomic: the keeper may look at any
// time, and what a dead agent stored is all there.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace holdfast {

// Why an agent was started.
enum class StartReason : std::uint32_t {
  first,        // nothing was there before
  killed,       // its predecessor died of a signal that somebody sent: SIGKILL and the like
  crashed,      // of one that it caused itself: SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE
  upgrade,      // its predecessor made room for another program
  restart,      // or for the same one
  parked,       // a keeper before this one left everything with the service manager
  rolled_back,  // its predecessor made room for a program that could not be executed
  orphaned,     // its predecessor's keeper died, and it left everything with the service manager
};

std::string_view to_string(StartReason reason);

// Where the state is that an agent has committed: from now on it counts, and nothing before.
struct StateWord {
  int descriptor = -1;  // of the memfd
  std::uint32_t generation = 0;

  bool operator==(const StateWord&) const = default;
};

// As it is stored: 0 is none, a descriptor is one higher than it is.
constexpr std::uint64_t encoded(StateWord word) {
  return std::uint64_t{word.generation} << 32 | static_cast<std::uint32_t>(word.descriptor + 1);
}
constexpr std::optional<StateWord> decoded_state(std::uint64_t stored) {
  if (stored == 0) return std::nullopt;
  return StateWord{static_cast<int>(static_cast<std::uint32_t>(stored)) - 1,
                   static_cast<std::uint32_t>(stored >> 32)};
}

// How the last agent ended.
struct Death {
  std::int32_t pid = 0;      // 0: none has died yet
  std::int32_t signal = 0;   // 0: it exited by itself
  std::int32_t stuck = 0;    // 1: its keeper killed it, for its loop did not turn any more
  std::int32_t code = 0;     // with this
  std::int64_t time_ns = 0;  // when its keeper saw it; boot clock
};

// Descriptors that a process may be started with and keep over its agents' deaths.
inline constexpr std::size_t kMostStartedWith = 256;

inline constexpr std::size_t kMostPathBytes = 1024;
// What an agent exits with to make room for a program, which it has named.
inline constexpr int kExitHandOver = 42;
// And with this, before it serves, where the host lacks what it needs: it could not start.
inline constexpr int kExitLacking = 1;

struct Page {
  // The keeper's.
  StartReason reason = StartReason::first;
  std::uint32_t discard = 0;           // 1: no state is to be used, whatever `state` says
  std::uint32_t deaths_in_row = 0;     // agents that died and may have died of the state
  std::uint32_t config_from_file = 1;  // 0: the config in force is the state's (after a death)
  std::int32_t keeper_pid = 0;         // 0: there is none, this process is on its own
  std::uint32_t parks_orphaned = 0;    // 1: an agent outlives its keeper for as long as it parks
  std::int64_t pulse_us = 0;           // how often last_turn_ns is to change
  Death death;
  std::uint64_t deaths = 0;  // of all agents of this lineage
  std::uint32_t started_with_count = 0;
  std::int32_t started_with[kMostStartedWith] = {};  // what was open before the first agent
  char program[kMostPathBytes] = "";                 // that it executes, and was started by
  std::int32_t refusal =
      0;  // why the last one was not executed: errno, 0: it cannot read the state

  // The agent's.
  std::atomic<std::uint64_t> state{0};        // encoded(StateWord): the commit
  std::atomic<std::uint32_t> ready{0};        // 1: it has committed, and serves
  std::atomic<std::uint32_t> stored{0};       // 1: the service manager has it all too (parking.h)
  char next_program[kMostPathBytes] = "";     // stored before `wish`; empty: the keeper's
  std::atomic<std::uint32_t> wish{0};         // a StartReason, upgrade or restart: it makes room
  std::atomic<std::int64_t> last_turn_ns{0};  // its loops turn: changes every few seconds
};

static_assert(sizeof(Page) <= 4096);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

// What an agent finds at its start, of all that the page says. A program without a keeper (a test,
// a valgrind run) has an empty one.
struct Inheritance {
  StartReason reason = StartReason::first;
  std::optional<StateWord> state;  // what is to be recovered; none: start as the first one
  bool discarded = false;          // there was one, and it is given up: it killed too many
  bool config_from_file = true;    // else that of the state
  Death death;
  std::uint32_t deaths_in_row = 0;
};

Inheritance inheritance_of(const Page& page);
// Another agent was here before, and left connections.
bool goes_on(const Page& page);

}  // namespace holdfast
