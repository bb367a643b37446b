// Seats: which of a server's newcomers makes room when there are too many of them.
//
// A newcomer is *unproven* until it has shown that it holds a key or certificate of a client: with
// a key or a ticket in its very first message, with a certificate a round trip later. Unproven ones
// are bounded in all and by source; proven ones by client. Nobody is ever turned away at the door:
// the newest always sits down, since whoever is real needs a seat for a moment only.
// docs/SECURITY.md argues the rules, which are, in this order:
//   1. a client's newcomers beyond its own seats: its oldest goes;
//   2. a source beyond its seats loses one of its own;
//   3. all seats taken: the source with the most seats loses one, of those that no link is known at
//      before any other.
// A source's silent newcomers and those that were answered have half of its seats each: the oldest
// of whichever are more goes.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/base/ids.h"
#include "common/io/socket.h"

namespace holdfast {

struct SeatLimits {
  std::size_t unproven = 512;    // in all; some 20 KiB of memory each
  std::size_t per_source = 128;  // of these
  std::size_t per_client = 32;   // proven ones: a HELLO and a standby for each of 16 links
};

struct Seat {
  enum class Stage : std::uint8_t { silent, answered, proven };
  CarrierId id;
  Stage stage = Stage::silent;
  std::string_view source;
  std::string client;  // of a proven one
};

// Who must go before one more sits down, or nobody. `seats`: the oldest first. `known`: a link's
// carrier is or was at this source.
std::optional<CarrierId> who_makes_room(std::span<const Seat> seats, std::string_view source,
                                        const SeatLimits& limits,
                                        const std::function<bool(std::string_view)>& known);

// What counts as one source: an IPv4 address; of IPv6 the /64, which is what one customer gets.
std::string source_of(const SocketAddress& address);

}  // namespace holdfast
