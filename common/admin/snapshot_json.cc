#include "common/admin/snapshot_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/log/log_format.h"

namespace holdfast {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

double in_seconds(Duration duration) {
  return static_cast<double>(duration.count()) / 1e6;
}

Json optional_seconds(const std::optional<Duration>& duration) {
  return duration ? Json(in_seconds(*duration)) : Json(nullptr);
}

Json optional_count(const std::optional<std::uint64_t>& count) {
  return count ? Json(*count) : Json(nullptr);
}

Json instant(std::int64_t at_ms) {
  return at_ms == 0 ? Json(nullptr) : Json(format_time(at_ms * 1000));
}

Json by_cause(const std::map<Cause, std::uint64_t>& counts) {
  Json out = Json::object();
  for (const auto& [cause, count] : counts) out[std::string(to_string(cause))] = count;
  return out;
}

Json json_of(const LinkSnapshot& link) {
  return {{"name", link.name},
          {"id", link.id},
          {"peer", link.peer},
          {"state", to_string(link.state)},
          {"in_state_s", in_seconds(link.in_state)},
          {"carrier", link.carrier},
          {"balancer", link.balancer},
          {"home", link.home},
          {"subflows", optional_count(link.subflows)},
          {"rtt_s", optional_seconds(link.rtt)},
          {"connections", link.connections},
          {"opening", link.opening},
          {"silent_for_s", optional_seconds(link.silent_for)},
          {"detached_for_s", optional_seconds(link.detached_for)},
          {"grace_remaining_s", optional_seconds(link.grace_remaining)},
          {"reconnects", by_cause(link.reconnects)},
          {"resumes", link.resumes},
          {"outage_total_s", in_seconds(link.outage_total)},
          {"replayed_bytes", link.replayed_bytes},
          {"bytes_up", link.bytes_up},
          {"bytes_down", link.bytes_down},
          {"send_log_bytes", link.send_log_bytes},
          {"send_log_limit_bytes", link.send_log_limit_bytes},
          {"attempt", link.attempt},
          {"dials", link.dials},
          {"barren", link.barren},
          {"held_down", link.held_down},
          {"retiring", link.retiring},
          {"last_error", link.last_error}};
}

Json json_of(const ConnectionSnapshot& connection) {
  return {{"id", connection.id},
          {"link", connection.link},
          {"service", connection.service},
          {"peer", connection.peer},
          {"client", connection.client},
          {"destination", connection.destination},
          {"target", connection.target},
          {"state", to_string(connection.state)},
          {"client_end", to_string(connection.client_end)},
          {"target_end", to_string(connection.target_end)},
          {"bytes_up", connection.bytes_up},
          {"bytes_down", connection.bytes_down},
          {"unacked_bytes", connection.unacked_bytes},
          {"queued_bytes", connection.queued_bytes},
          {"window_bytes", connection.window_bytes},
          {"paused", connection.pause != Pause::none},
          {"pause_reason", to_string(connection.pause)},
          {"duration_s", in_seconds(connection.duration)},
          {"idle_s", in_seconds(connection.idle)},
          {"detached_s", in_seconds(connection.detached)},
          {"resumes", connection.resumes},
          {"replayed_bytes", connection.replayed_bytes},
          {"opened_at", instant(connection.opened_at_ms)},
          {"keepalive_s", in_seconds(connection.keepalive)},
          {"idle_timeout_s", optional_seconds(connection.idle_timeout)},
          {"half_close_timeout_s", optional_seconds(connection.half_close_timeout)},
          {"grace_s", in_seconds(connection.grace)},
          {"grace_remaining_s", optional_seconds(connection.grace_remaining)}};
}

Json service_json(const ServiceCounters& service) {
  Json out = {{"opened", service.opened},
              {"closed", by_cause(service.closed)},
              {"bytes_up", service.bytes_up},
              {"bytes_down", service.bytes_down}};
  if (!service.listen.empty()) out["listen"] = service.listen;
  out["granted"] = service.granted ? Json(*service.granted) : Json(nullptr);
  out["target"] = !service.target                  ? Json(nullptr)
                  : *service.target == Cause::none ? Json("answers")
                                                   : Json(to_string(*service.target));
  out["target_age_s"] = optional_seconds(service.target_age);
  return out;
}

Json totals_json(const AgentTotals& totals) {
  return {{"replayed_bytes", totals.replayed_bytes},
          {"connections_resumed", totals.connections_resumed},
          {"reconnects", by_cause(totals.reconnects)},
          {"carriers_barren", totals.carriers_barren},
          {"outage_total_s", in_seconds(totals.outage_total)},
          {"paused_credit", totals.paused_credit},
          {"paused_memory", totals.paused_memory},
          {"paused_descriptors", totals.paused_descriptors},
          {"carriers_refused", by_cause(totals.carriers_refused)},
          {"carriers_accepted", totals.carriers_accepted},
          {"health_checks", totals.health_checks},
          {"links_refused", by_cause(totals.links_refused)},
          {"log_lines_dropped", totals.log_lines_dropped},
          {"reload_success", totals.reload_success},
          {"reload_error", totals.reload_error},
          {"reloads", totals.reloads},
          {"reloads_failed", totals.reloads_failed}};
}

Json recovery_json(const RecoveryReport& recovery) {
  if (recovery.reason.empty()) return nullptr;
  return {{"reason", recovery.reason},
          {"links", recovery.links},
          {"connections", recovery.connections},
          {"adopted", recovery.adopted},
          {"corrected", recovery.corrected},
          {"lost", recovery.lost},
          {"gap_s", in_seconds(recovery.gap)},
          {"recoveries", Json(recovery.recoveries)},
          {"connections_in_all", recovery.connections_in_all}};
}

template <typename T>
std::string array_text(const std::vector<T>& items) {
  std::string out = "[";
  for (const T& item : items) {
    out += out.size() == 1 ? "\n " : ",\n ";
    out += text_of(json_of(item));
  }
  return out + (items.empty() ? "]\n" : "\n]\n");
}

Json not_listening_json(const std::vector<NotListening>& addresses) {
  Json json = Json::array();
  for (const NotListening& each : addresses) {
    json.push_back({{"address", each.address}, {"reason", each.reason}});
  }
  return json;
}

}  // namespace

std::string status_json(const AgentSnapshot& snapshot) {
  Json links = Json::array();
  for (const LinkSnapshot& link : snapshot.links) links.push_back(json_of(link));
  Json states = Json::object();
  for (ConnectionState state : kConnectionStates) {
    auto found = snapshot.connections_by_state.find(state);
    bool known = found != snapshot.connections_by_state.end();
    states[std::string(to_string(state))] = known ? found->second : 0;
  }
  Json services = Json::object();
  for (const auto& [name, service] : snapshot.services) services[name] = service_json(service);
  Json json = {{"kind", to_string(snapshot.kind)},
               {"name", snapshot.name},
               {"version", snapshot.version},
               {"pid", snapshot.pid},
               {"keeper_pid", snapshot.keeper_pid},
               {"program", snapshot.program},
               {"state_format", snapshot.state_format},
               {"start_reason", snapshot.start_reason},
               {"started_at", instant(snapshot.started_at_ms)},
               {"uptime_s", in_seconds(snapshot.uptime)},
               {"config", snapshot.config_path},
               {"ready", snapshot.ready},
               {"reason", not_ready_reason(snapshot)},
               {"draining", snapshot.draining},
               {"listening", snapshot.listening},
               {"not_listening", not_listening_json(snapshot.not_listening)},
               {"peers", snapshot.peers},
               {"connections", states},
               {"connections_limit", snapshot.connections_limit},
               {"send_log_bytes", snapshot.send_log_bytes},
               {"send_log_limit_bytes", snapshot.send_log_limit_bytes},
               {"services", services},
               {"log_level", snapshot.log_level},
               {"loop",
                {{"turns", snapshot.turns.turns},
                 {"busy_s", in_seconds(snapshot.turns.busy)},
                 {"longest_turn_s", in_seconds(snapshot.turns.longest)},
                 {"longest_answer_s", in_seconds(snapshot.longest_answer)}}},
               {"totals", totals_json(snapshot.totals)},
               {"recovery", recovery_json(snapshot.totals.recovery)},
               {"links", links}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string links_json(const std::vector<LinkSnapshot>& links) {
  return array_text(links);
}

std::string connections_json(const std::vector<ConnectionSnapshot>& connections) {
  return array_text(connections);
}

std::string connection_json(const ConnectionSnapshot& connection) {
  return json_of(connection).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string ready_json(const AgentSnapshot& snapshot) {
  SafeConnections safe = safe_connections(snapshot);
  auto up = std::count_if(snapshot.links.begin(), snapshot.links.end(),
                          [](const LinkSnapshot& link) { return link.state == LinkState::live; });
  return text_of(Json{{"ready", snapshot.ready},
                      {"state", readiness(snapshot)},
                      {"reason", not_ready_reason(snapshot)},
                      {"draining", snapshot.draining},
                      {"links_up", up},
                      {"links_down", snapshot.links.size() - static_cast<std::size_t>(up)},
                      {"connections", connection_count(snapshot)},
                      {"connections_safe", safe.count},
                      {"safe_for_s", optional_seconds(safe.remaining)}}) +
         "\n";
}

std::string home_json(const AgentSnapshot& snapshot) {
  return text_of(Json{{"home", snapshot.home},
                      {"draining", snapshot.draining},
                      {"links", snapshot.links.size()},
                      {"connections", connection_count(snapshot)}}) +
         "\n";
}

std::string alive_json(const AgentSnapshot& snapshot) {
  Json json = Json::parse(ready_json(snapshot));
  Json out = {{"alive", true}};
  out.update(json);
  return text_of(out) + "\n";
}

std::string stuck_json(std::string_view reason) {
  return text_of(Json{{"alive", false}, {"ready", false}, {"state", "stuck"}, {"error", reason}}) +
         "\n";
}

std::string result_json(const CommandResult& result) {
  return text_of(Json{{"ok", result.outcome == CommandResult::Outcome::done},
                      {"message", result.message}}) +
         "\n";
}

std::string error_json(std::string_view reason) {
  return text_of(Json{{"error", reason}}) + "\n";
}

}  // namespace holdfast
