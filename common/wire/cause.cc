#include "common/wire/cause.h"

namespace holdfast {

std::string_view to_string(Cause cause) {
  switch (cause) {
    case Cause::none:
      return "none";
    case Cause::client_fin:
      return "client_fin";
    case Cause::client_rst:
      return "client_rst";
    case Cause::target_fin:
      return "target_fin";
    case Cause::target_rst:
      return "target_rst";
    case Cause::target_refused:
      return "target_refused";
    case Cause::target_timeout:
      return "target_timeout";
    case Cause::target_unresolved:
      return "target_unresolved";
    case Cause::target_failed:
      return "target_failed";
    case Cause::grace_expired:
      return "grace_expired";
    case Cause::client_restarted:
      return "client_restarted";
    case Cause::server_restarted:
      return "server_restarted";
    case Cause::duplicate_name:
      return "duplicate_name";
    case Cause::stale:
      return "stale";
    case Cause::goodbye:
      return "goodbye";
    case Cause::auth:
      return "auth";
    case Cause::limit:
      return "limit";
    case Cause::protocol:
      return "protocol";
    case Cause::version:
      return "version";
    case Cause::admin_kill:
      return "admin_kill";
    case Cause::shutdown:
      return "shutdown";
    case Cause::draining:
      return "draining";
    case Cause::open_timeout:
      return "open_timeout";
    case Cause::linger_timeout:
      return "linger_timeout";
    case Cause::unknown_service:
      return "unknown_service";
    case Cause::revoked:
      return "revoked";
    case Cause::carrier_reset:
      return "carrier_reset";
    case Cause::carrier_eof:
      return "carrier_eof";
    case Cause::carrier_silent:
      return "carrier_silent";
    case Cause::carrier_replaced:
      return "carrier_replaced";
    case Cause::handshake_timeout:
      return "handshake_timeout";
    case Cause::other_server:
      return "other_server";
    case Cause::reconnect:
      return "reconnect";
    case Cause::tls:
      return "tls";
    case Cause::peer_gone:
      return "peer_gone";
    case Cause::held_down:
      return "held_down";
    case Cause::not_allowed:
      return "not_allowed";
    case Cause::loop:
      return "loop";
    case Cause::source_failed:
      return "source_failed";
    case Cause::client_vanished:
      return "client_vanished";
    case Cause::target_vanished:
      return "target_vanished";
    case Cause::idle_timeout:
      return "idle_timeout";
    case Cause::half_close_timeout:
      return "half_close_timeout";
    case Cause::state_lost:
      return "state_lost";
    case Cause::other:
      return "other";
  }
  return "other";
}

Cause cause_from_code(std::uint16_t code) {
  constexpr auto kLast = static_cast<std::uint16_t>(Cause::state_lost);
  return code <= kLast ? static_cast<Cause>(code) : Cause::other;
}

}  // namespace holdfast
