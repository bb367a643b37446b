// Why something ended: one short list for the wire, the logs, the metrics and the admin interface.
//
// The numbers are wire constants (RESET, ABORT, GOODBYE and REFUSED carry them): never reuse one.
// A code from a newer peer that is not listed here reads as Cause::other.
#pragma once

#include <cstdint>
#include <string_view>

namespace holdfast {

enum class Cause : std::uint16_t {
  none = 0,
  // An application ended its connection.
  client_fin = 1,
  client_rst = 2,
  target_fin = 3,
  target_rst = 4,
  // The backend could not be had.
  target_refused = 5,
  target_timeout = 6,
  target_unresolved = 7,
  target_failed = 8,
  // The link could not go on.
  grace_expired = 9,
  client_restarted = 10,
  server_restarted = 11,
  duplicate_name = 12,
  stale = 13,
  goodbye = 14,
  auth = 15,
  limit = 16,
  protocol = 17,
  version = 18,
  // A person or a policy ended it.
  admin_kill = 19,
  shutdown = 20,
  draining = 21,
  open_timeout = 22,
  linger_timeout = 23,
  unknown_service = 24,
  revoked = 25,
  // The carrier (not the link) was lost.
  carrier_reset = 26,
  carrier_eof = 27,
  carrier_silent = 28,
  carrier_replaced = 29,
  handshake_timeout = 30,
  other_server = 31,
  reconnect = 32,
  tls = 33,
  peer_gone = 34,  // the peer had ended it before; its reason was lost with a carrier
  held_down = 35,  // an operator holds the link down
  // The server would not connect for this stream.
  not_allowed = 36,    // to that destination, or from that source
  loop = 37,           // it would come back to the agents themselves
  source_failed = 38,  // the application's address could not be taken as the source
  // An end's host gave no sign any more, or a limit of time that its service has was over.
  client_vanished = 39,
  target_vanished = 40,
  idle_timeout = 41,
  half_close_timeout = 42,
  state_lost = 43,  // its agent's process died, and what is left of it contradicts itself
  other = 0xffff,
};

// The name in logs, metrics and `--json`: lower-case snake_case; "none" and "other" included.
std::string_view to_string(Cause cause);

// The cause for a wire code; Cause::other for one that this version does not know.
Cause cause_from_code(std::uint16_t code);

}  // namespace holdfast
