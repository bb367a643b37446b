// From when on a key's new value counts after a reload.
#pragma once

#include <cstdint>

namespace holdfast {

enum class ReloadEffect : std::uint8_t {
  at_once,
  new_connections,  // live ones stay as they are
  next_carrier,     // agreed with the peer, or proven to it: from each link's next carrier on
  listener,         // the old address is given up, live connections stay
  added,            // of a section
  taken_away,       // of a section: nothing new; what lives stays, unless it is revoked
  nft,              // nothing of the agent's: when the rules are applied again
  restart,          // the old value stands until then
};

}  // namespace holdfast
