// What the status page polls, as JSON of bounded size whatever the agent has: at most kMostLinks
// links, kMostServices services, the connections asked for, and the history's own bounds. Texts are
// cut at kMostShownText bytes. Not for scripts, which have `--json`: it changes with the page.
//
// "t" is an uptime in seconds; a sample is [t, span_s, bytes_up, bytes_down, connections, detached,
// rtt_s or null].
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/admin/snapshot.h"

namespace holdfast {

inline constexpr std::size_t kMostLinks = 64;
inline constexpr std::size_t kMostServices = 64;
inline constexpr std::size_t kMostShownText = 200;

struct TopConnections {
  enum class Order : std::uint8_t { bytes, age, unacked };
  std::size_t most = 0;  // none
  Order order = Order::bytes;
  std::string service{};  // only this one's; empty: all
};
std::optional<TopConnections::Order> order_from(std::string_view text);

std::string page_json(const AgentSnapshot& snapshot, const TopConnections& top);

}  // namespace holdfast
