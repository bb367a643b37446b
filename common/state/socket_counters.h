// How much of a socket was read and written, by its kernel's own count: what a process goes by when
// the one before it died within a call (core/recovery.h).
#pragma once

#include <cstdint>
#include <optional>

namespace holdfast {

// Of a TCP connection, from its beginning: who connected has written one more, its SYN.
struct SocketCounters {
  std::uint64_t read = 0;     // taken out of it, its peer's FIN not counted
  std::uint64_t written = 0;  // put into it, our own FIN not counted
  bool fin_came = false;      // meaningful while not closed
  bool fin_out = false;
  // Nothing connects it any more: it was reset, or both ends are over. Then `read` counts a FIN
  // that came, and `written` one that went out: no kernel tells which.
  bool closed = false;
};

// Nothing for what is no connected TCP socket. The peer may write meanwhile.
std::optional<SocketCounters> read_counters(int descriptor);

// A Unix socket counts what is read from now on, up to kUnixCount bytes; what is written it counts
// nowhere.
inline constexpr int kUnixCount = 1 << 30;
bool count_unix(int descriptor);
std::optional<std::uint64_t> read_of_unix(int descriptor);

}  // namespace holdfast
