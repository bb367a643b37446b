#include "common/admin/snapshot.h"

#include <algorithm>

#include "common/log/units_text.h"

namespace holdfast {
namespace {

template <typename T, std::size_t size>
std::optional<T> find_by_name(const T (&all)[size], std::string_view text) {
  for (T one : all) {
    if (to_string(one) == text) return one;
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(AgentKind kind) {
  return kind == AgentKind::client ? "client" : "server";
}

std::string_view program_name(AgentKind kind) {
  return kind == AgentKind::client ? "holdfast-client" : "holdfast-server";
}

std::string_view to_string(LinkState state) {
  switch (state) {
    case LinkState::waiting:
      return "waiting";
    case LinkState::greeting:
      return "greeting";
    case LinkState::live:
      return "live";
    case LinkState::silent:
      return "silent";
    case LinkState::detached:
      return "detached";
    case LinkState::leaving:
      return "leaving";
    case LinkState::ended:
      return "ended";
  }
  return "invalid";
}

std::optional<LinkState> link_state_from(std::string_view text) {
  constexpr LinkState kAll[] = {LinkState::waiting, LinkState::greeting, LinkState::live,
                                LinkState::silent,  LinkState::detached, LinkState::leaving,
                                LinkState::ended};
  return find_by_name(kAll, text);
}

std::string_view to_string(ConnectionState state) {
  switch (state) {
    case ConnectionState::opening:
      return "opening";
    case ConnectionState::open:
      return "open";
    case ConnectionState::closing:
      return "closing";
    case ConnectionState::detached:
      return "detached";
  }
  return "invalid";
}

std::optional<ConnectionState> connection_state_from(std::string_view text) {
  return find_by_name(kConnectionStates, text);
}

std::string_view to_string(EndState state) {
  switch (state) {
    case EndState::open:
      return "open";
    case EndState::finished:
      return "finished";
    case EndState::reset:
      return "reset";
  }
  return "invalid";
}

std::optional<EndState> end_state_from(std::string_view text) {
  constexpr EndState kAll[] = {EndState::open, EndState::finished, EndState::reset};
  return find_by_name(kAll, text);
}

std::string service_fault(const ServiceCounters& service) {
  if (service.granted == false) return "the server does not grant it to this client";
  if (service.target == Cause::unknown_service) return "the server does not have or grant it";
  if (!service.target || *service.target == Cause::none) return "";
  if (*service.target == Cause::other) return "its target is down, the server says";
  return "its target does not answer: " + std::string(to_string(*service.target));
}

std::string service_health(const ServiceCounters& service) {
  std::string grant = service.granted == true ? "granted, " : "";
  std::string when =
      service.target_age ? ", " + show_duration(*service.target_age) + " ago" : std::string();
  std::string fault = service_fault(service);
  if (service.granted == false) return fault;
  if (!fault.empty()) return grant + fault + when;
  return grant + (service.target ? "its target answered" + when : "not asked for yet");
}

std::uint64_t connection_count(const AgentSnapshot& snapshot) {
  std::uint64_t count = 0;
  for (const auto& [state, number] : snapshot.connections_by_state) count += number;
  return count;
}

SafeConnections safe_connections(const AgentSnapshot& snapshot) {
  SafeConnections safe;
  for (const LinkSnapshot& link : snapshot.links) {
    bool any = link.connections > link.opening;
    if (link.state == LinkState::live || !any || !link.grace_remaining) continue;
    safe.count += link.connections - link.opening;
    Duration left = *link.grace_remaining;
    safe.remaining = safe.remaining ? std::min(*safe.remaining, left) : left;
  }
  return safe;
}

std::string_view readiness(const AgentSnapshot& snapshot) {
  if (snapshot.draining) return "draining";
  if (snapshot.ready) return "ready";
  return snapshot.kind == AgentKind::client ? "link_down" : "not_listening";
}

std::string not_ready_reason(const AgentSnapshot& snapshot) {
  if (snapshot.ready) return "";
  std::string reason = snapshot.reason;
  if (reason.empty() && snapshot.kind == AgentKind::server) reason = "not listening";
  if (reason.empty()) {
    reason = "link down";
    const LinkSnapshot* first = snapshot.links.empty() ? nullptr : &snapshot.links.front();
    if (first != nullptr && first->silent_for) {
      reason = "nothing heard for " + show_duration(*first->silent_for);
    } else if (first != nullptr && first->detached_for) {
      reason += " for " + show_duration(*first->detached_for);
    }
  }
  SafeConnections safe = safe_connections(snapshot);
  if (safe.count == 0) return reason;
  bool one = safe.count == 1;
  return reason + ": " + std::to_string(safe.count) +
         (one ? " connection is" : " connections are") + " safe for " +
         show_duration(*safe.remaining) + " more";
}

}  // namespace holdfast
