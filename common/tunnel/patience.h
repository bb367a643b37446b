// How long an application's or a target's socket may be silent, half closed or unanswered.
#pragma once

#include <optional>

#include "common/base/time.h"

namespace holdfast {

// A host that vanished is found within this, unless the service's grace is longer: who was asleep
// or out of reach for less than that is waited for.
inline constexpr Duration kDefaultKeepalive = seconds(15 * 60);

// Of one service, as configured.
struct Patience {
  std::optional<Duration> keepalive{};   // nothing: by default
  std::optional<Duration> idle{};        // nothing: for ever
  std::optional<Duration> half_close{};  // likewise
  bool operator==(const Patience&) const = default;
};

// Without a sign of the socket's host for this long, it is gone.
inline Duration keepalive_of(const Patience& patience, Duration grace) {
  return patience.keepalive.value_or(std::max(kDefaultKeepalive, grace));
}

// What the kernel is told (tcp(7)): first question, pause between questions, how many unanswered.
struct KeepaliveTimes {
  int idle_s = 1;
  int interval_s = 1;
  int count = 1;
};
// They come to `within`, or to two seconds, which is the least.
KeepaliveTimes keepalive_times(Duration within);
// SO_KEEPALIVE is on already. Nothing happens to a socket that is no TCP one.
void set_keepalive(int descriptor, Duration within);

// The kernel asks only while nothing is under way; of what was sent and is not acknowledged it
// gives up after 15 minutes to half an hour. TCP_USER_TIMEOUT would also end a connection whose
// application does not read (its host answers every probe), so this is found out by hand: bytes are
// under way, nothing was heard for that long, and questions stay unanswered.
bool has_vanished(int descriptor, Duration within);

}  // namespace holdfast
