#include "common/admin/page_json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "common/admin/history.h"
#include "common/config/config.h"

namespace holdfast {
namespace {

using Json = nlohmann::ordered_json;
using Order = TopConnections::Order;

// To the millisecond: the page shows no more, and the text is shorter.
double in_seconds(Duration duration) {
  return std::round(static_cast<double>(duration.count()) / 1e3) / 1e3;
}

Json exact_seconds(Duration duration) {
  return static_cast<double>(duration.count()) / 1e6;
}

Json optional_seconds(const std::optional<Duration>& duration) {
  return duration ? exact_seconds(*duration) : Json(nullptr);
}

std::string_view cut(std::string_view text) {
  return text.substr(0, kMostShownText);
}

Json by_cause(const std::map<Cause, std::uint64_t>& counts) {
  Json out = Json::object();
  for (const auto& [cause, count] : counts) {
    if (count != 0) out[std::string(to_string(cause))] = count;
  }
  return out;
}

Json link_json(const LinkSnapshot& link) {
  return {{"id", link.id.substr(0, 8)},
          {"name", link.name == kDefaultLinkName ? "" : cut(link.name)},
          {"peer", cut(link.peer)},
          {"state", to_string(link.state)},
          {"in_state_s", in_seconds(link.in_state)},
          {"carrier", cut(link.carrier)},
          {"rtt_s", optional_seconds(link.rtt)},
          {"connections", link.connections},
          {"opening", link.opening},
          {"grace_remaining_s", optional_seconds(link.grace_remaining)},
          {"resumes", link.resumes},
          {"reconnects", by_cause(link.reconnects)},
          {"outage_total_s", in_seconds(link.outage_total)},
          {"replayed_bytes", link.replayed_bytes},
          {"last_error", cut(link.last_error)}};
}

// --- Connections ----------------------------------------------------------------------------

bool before(const ConnectionSnapshot& one, const ConnectionSnapshot& other, Order order) {
  auto rank = [order](const ConnectionSnapshot& connection) {
    switch (order) {
      case Order::bytes:
        return connection.bytes_up + connection.bytes_down;
      case Order::age:
        return static_cast<std::uint64_t>(connection.duration.count());
      case Order::unacked:
        return connection.unacked_bytes + connection.queued_bytes;
    }
    return std::uint64_t{0};
  };
  std::uint64_t left = rank(one), right = rank(other);
  return left != right ? left > right : one.id < other.id;
}

Json connection_json(const ConnectionSnapshot& connection) {
  return {{"id", connection.id},
          {"service", cut(connection.service)},
          {"peer", cut(connection.peer)},
          {"client", cut(connection.client)},
          {"state", to_string(connection.state)},
          {"bytes_up", connection.bytes_up},
          {"bytes_down", connection.bytes_down},
          {"unacked_bytes", connection.unacked_bytes},
          {"queued_bytes", connection.queued_bytes},
          {"paused", connection.pause != Pause::none},
          {"duration_s", in_seconds(connection.duration)},
          {"detached_s", in_seconds(connection.detached)},
          {"resumes", connection.resumes}};
}

bool matches(const ConnectionSnapshot& connection, const TopConnections& top) {
  return top.service.empty() || connection.service == top.service;
}

// Nothing where connections are not listed.
Json matching(const std::optional<std::vector<ConnectionSnapshot>>& connections,
              const TopConnections& top) {
  if (!connections) return nullptr;
  return std::count_if(connections->begin(), connections->end(),
                       [&](const ConnectionSnapshot& one) { return matches(one, top); });
}

Json top_json(const std::vector<ConnectionSnapshot>& connections, const TopConnections& top) {
  std::vector<const ConnectionSnapshot*> chosen;
  chosen.reserve(connections.size());
  for (const ConnectionSnapshot& one : connections) {
    if (matches(one, top)) chosen.push_back(&one);
  }
  std::size_t count = std::min(top.most, chosen.size());
  std::partial_sort(
      chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(count), chosen.end(),
      [&](const auto* one, const auto* other) { return before(*one, *other, top.order); });
  Json out = Json::array();
  for (std::size_t i = 0; i < count; ++i) out.push_back(connection_json(*chosen[i]));
  return out;
}

Json connections_json(const AgentSnapshot& snapshot, const TopConnections& top) {
  Json by_state = Json::object();
  for (const auto& [state, count] : snapshot.connections_by_state) {
    by_state[std::string(to_string(state))] = count;
  }
  return {{"total", connection_count(snapshot)},
          {"limit", snapshot.connections_limit},
          {"by_state", std::move(by_state)},
          {"matching", matching(snapshot.connections, top)},
          {"top", snapshot.connections ? top_json(*snapshot.connections, top) : Json(nullptr)}};
}

// --- History --------------------------------------------------------------------------------

// Instants of the history as uptimes.
class Uptimes {
 public:
  Uptimes(Time now, Duration uptime) : now_(now), uptime_(uptime) {}
  Json operator()(Time at) const {
    return at == kNever ? Json(nullptr) : Json(in_seconds(uptime_ - (now_ - at)));
  }

 private:
  Time now_;
  Duration uptime_;
};

Json samples_json(const std::vector<HistorySample>& samples, const Uptimes& uptime) {
  Json out = Json::array();
  for (const HistorySample& one : samples) {
    bool known = one.round_trip > Duration{};
    out.push_back({uptime(one.at), in_seconds(one.span), one.bytes_up, one.bytes_down,
                   one.connections, one.detached,
                   known ? exact_seconds(one.round_trip) : Json(nullptr)});
  }
  return out;
}

Json life_json(const LinkLife& life, const Uptimes& uptime) {
  return {{"link", life.link.short_name()},
          {"name", life.name},
          {"peer", life.peer},
          {"began", uptime(life.began)},
          {"ended", uptime(life.ended)},
          {"cause", to_string(life.cause)}};
}

Json outage_json(const Outage& outage, const Uptimes& uptime) {
  return {{"link", outage.link.short_name()},
          {"name", outage.name},
          {"peer", outage.peer},
          {"began", uptime(outage.began)},
          {"ended", uptime(outage.ended)},
          {"result", to_string(outage.result)},
          {"cause", to_string(outage.cause)},
          {"end_cause", to_string(outage.end_cause)},
          {"connections", outage.connections},
          {"resumed", outage.resumed},
          {"replayed_bytes", outage.replayed_bytes}};
}

Json ending_json(const Ending& ending, const Uptimes& uptime) {
  return {{"id", connection_name(ending.link, ending.stream)},
          {"at", uptime(ending.at)},
          {"service", ending.service},
          {"client", ending.client},
          {"cause", to_string(ending.cause)},
          {"bytes_up", ending.bytes_up},
          {"bytes_down", ending.bytes_down},
          {"duration_s", in_seconds(ending.duration)}};
}

template <typename T>
Json each(const std::vector<T>& items, Json (*one)(const T&, const Uptimes&),
          const Uptimes& uptime) {
  Json out = Json::array();
  for (const T& item : items) out.push_back(one(item, uptime));
  return out;
}

Json history_json(const HistoryView& view, Duration uptime) {
  Uptimes at(view.now, uptime);
  return {{"recent", samples_json(view.recent, at)},
          {"older", samples_json(view.older, at)},
          {"lives", each(view.lives, &life_json, at)},
          {"outages", each(view.outages, &outage_json, at)},
          {"endings", each(view.endings, &ending_json, at)}};
}

// --- The agent ------------------------------------------------------------------------------

Json services_json(const AgentSnapshot& snapshot) {
  Json out = Json::array();
  for (const auto& [name, service] : snapshot.services) {
    if (out.size() == kMostServices) break;
    std::map<Cause, std::uint64_t> unusual = service.closed;
    for (auto& [cause, count] : unusual) {
      if (!History::remembers(cause)) count = 0;
    }
    out.push_back({{"name", cut(name)},
                   {"health", service_health(service)},
                   {"fault", !service_fault(service).empty()},
                   {"opened", service.opened},
                   {"closed", by_cause(service.closed)},
                   {"unusual", by_cause(unusual)},
                   {"bytes_up", service.bytes_up},
                   {"bytes_down", service.bytes_down}});
  }
  return out;
}

Json totals_json(const AgentTotals& totals) {
  std::uint64_t refused = 0;
  for (const auto& [cause, count] : totals.carriers_refused) refused += count;
  return {{"replayed_bytes", totals.replayed_bytes},
          {"connections_resumed", totals.connections_resumed},
          {"reconnects", by_cause(totals.reconnects)},
          {"outage_total_s", in_seconds(totals.outage_total)},
          {"paused_credit", totals.paused_credit},
          {"paused_memory", totals.paused_memory},
          {"paused_descriptors", totals.paused_descriptors},
          {"carriers_refused", refused},
          {"log_lines_dropped", totals.log_lines_dropped}};
}

Json links_json(const AgentSnapshot& snapshot) {
  // Those that are down first: they are what somebody looks for.
  std::vector<const LinkSnapshot*> links;
  for (const LinkSnapshot& link : snapshot.links) links.push_back(&link);
  std::stable_partition(links.begin(), links.end(),
                        [](const LinkSnapshot* link) { return link->state != LinkState::live; });
  Json out = Json::array();
  for (const LinkSnapshot* link : links) {
    if (out.size() == kMostLinks) break;
    out.push_back(link_json(*link));
  }
  return out;
}

Json peers_json(const AgentSnapshot& snapshot) {
  Json out = Json::array();
  for (const std::string& peer : snapshot.peers) {
    if (out.size() == kMostLinks) break;
    out.push_back(cut(peer));
  }
  return out;
}

Json not_listening_json(const AgentSnapshot& snapshot) {
  Json out = Json::array();
  for (const NotListening& each : snapshot.not_listening) {
    if (out.size() == kMostLinks) break;
    out.push_back({{"address", cut(each.address)}, {"reason", cut(each.reason)}});
  }
  return out;
}

}  // namespace

std::optional<Order> order_from(std::string_view text) {
  if (text == "bytes") return Order::bytes;
  if (text == "age") return Order::age;
  if (text == "unacked") return Order::unacked;
  return std::nullopt;
}

std::string page_json(const AgentSnapshot& snapshot, const TopConnections& top) {
  Json out = {{"kind", to_string(snapshot.kind)},
              {"name", cut(snapshot.name)},
              {"version", snapshot.version},
              {"pid", snapshot.pid},
              {"started_at_ms", snapshot.started_at_ms},
              {"uptime_s", exact_seconds(snapshot.uptime)},
              {"ready", snapshot.ready},
              {"reason", cut(not_ready_reason(snapshot))},
              {"draining", snapshot.draining},
              {"not_listening", not_listening_json(snapshot)},
              {"links_total", snapshot.links.size()},
              {"links", links_json(snapshot)},
              {"peers", peers_json(snapshot)},
              {"connections", connections_json(snapshot, top)},
              {"services", services_json(snapshot)},
              {"totals", totals_json(snapshot.totals)},
              {"send_log_bytes", snapshot.send_log_bytes},
              {"send_log_limit_bytes", snapshot.send_log_limit_bytes}};
  out["history"] = snapshot.history ? history_json(*snapshot.history, snapshot.uptime)
                                    : history_json(HistoryView{}, snapshot.uptime);
  return out.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace holdfast
