// Call: what can be said to a Link or a LinkRegistry, as a record numbers it.
//
// The numbers and the order of a call's values are a record's format: a change asks for a new
// record (README.md). New calls come at the end: older records have none of them.
#pragma once

#include <cstdint>

namespace holdfast::record {

enum class Call : std::uint8_t {
  // Links that a client makes; a registry's come with its decisions.
  make_link,
  destroy_link,
  make_registry,
  destroy_registry,
  hello,
  poll,
  carrier_gone,
  take_touched,
  drain_registry,
  remove,
  carrier_up,
  accept,
  carrier_bytes,
  carrier_down,
  carrier_silent,
  doubt,
  open,
  opened,
  prepare,
  commit,
  finish,
  abort,
  reset,
  queued,
  delivered,
  fin_delivered,
  abort_delivered,
  goodbye,
  drain,
  tell_down,
  end,
  reconnect,
  reconfigure,
  reset_unoffered,
  renew,
  poll_effect,
  poll_transmit,
  written,
  timeout,
  about_calls,  // no call: its columns say which call comes next, of what, when (tape.cc)
  path_report,
  process_gone,
  vanish,
  tell_origin,
};
inline constexpr int kCalls = static_cast<int>(Call::tell_origin) + 1;
const char* to_string(Call call);

}  // namespace holdfast::record
