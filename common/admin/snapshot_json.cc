#include "common/admin/snapshot_json.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "common/admin/log_format.h"

namespace holdfast {
namespace {

using Json = nlohmann::ordered_json;

// ---- Writing

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

double in_seconds(Duration duration) {
  return static_cast<double>(duration.count()) / 1e6;
}

Json optional_seconds(const std::optional<Duration>& duration) {
  return duration ? Json(in_seconds(*duration)) : Json(nullptr);
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
          {"rtt_s", optional_seconds(link.rtt)},
          {"connections", link.connections},
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
          {"grace_s", in_seconds(connection.grace)},
          {"grace_remaining_s", optional_seconds(connection.grace_remaining)}};
}

Json service_json(const ServiceCounters& service) {
  return {{"opened", service.opened},
          {"closed", by_cause(service.closed)},
          {"bytes_up", service.bytes_up},
          {"bytes_down", service.bytes_down}};
}

Json totals_json(const AgentTotals& totals) {
  return {{"replayed_bytes", totals.replayed_bytes},
          {"connections_resumed", totals.connections_resumed},
          {"reconnects", by_cause(totals.reconnects)},
          {"outage_total_s", in_seconds(totals.outage_total)},
          {"paused_credit", totals.paused_credit},
          {"paused_memory", totals.paused_memory},
          {"paused_descriptors", totals.paused_descriptors},
          {"carriers_refused", by_cause(totals.carriers_refused)},
          {"log_lines_dropped", totals.log_lines_dropped},
          {"reload_success", totals.reload_success},
          {"reloads", totals.reloads},
          {"reloads_failed", totals.reloads_failed}};
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

// ---- Reading. What these throw ends in parsed().

Duration from_seconds(double amount) {
  return Duration(static_cast<std::int64_t>(amount * 1e6 + (amount < 0 ? -0.5 : 0.5)));
}

Duration read_seconds(const Json& json, const char* key) {
  return from_seconds(json.value(key, 0.0));
}

std::optional<Duration> read_optional(const Json& json, const char* key) {
  auto found = json.find(key);
  if (found == json.end() || found->is_null()) return std::nullopt;
  return from_seconds(found->get<double>());
}

std::uint64_t read_count(const Json& json, const char* key) {
  return json.value(key, std::uint64_t{0});
}

std::string read_text(const Json& json, const char* key) {
  return json.value(key, std::string());
}

Cause cause_from_name(const std::string& name) {
  for (std::uint16_t code = 0; code < 256; ++code) {
    Cause cause = cause_from_code(code);
    if (to_string(cause) == name) return cause;
  }
  return Cause::other;
}

std::map<Cause, std::uint64_t> read_causes(const Json& json, const char* key) {
  std::map<Cause, std::uint64_t> out;
  auto found = json.find(key);
  if (found == json.end()) return out;
  for (const auto& [name, count] : found->items()) {
    out[cause_from_name(name)] += count.get<std::uint64_t>();
  }
  return out;
}

std::int64_t read_instant(const Json& json, const char* key) {
  auto found = json.find(key);
  if (found == json.end() || found->is_null()) return 0;
  std::tm parts{};
  int us = 0;
  // What does not fit is a wrong instant, of an agent that is not ours.
  // NOLINTNEXTLINE(cert-err34-c)
  if (std::sscanf(found->get<std::string>().c_str(), "%d-%d-%dT%d:%d:%d.%dZ", &parts.tm_year,
                  &parts.tm_mon, &parts.tm_mday, &parts.tm_hour, &parts.tm_min, &parts.tm_sec,
                  &us) != 7) {
    return 0;
  }
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  return static_cast<std::int64_t>(timegm(&parts)) * 1000 + us / 1000;
}

LinkSnapshot read_link(const Json& json) {
  LinkSnapshot link;
  link.name = read_text(json, "name");
  link.id = read_text(json, "id");
  link.peer = read_text(json, "peer");
  link.state = link_state_from(read_text(json, "state")).value_or(LinkState::waiting);
  link.in_state = read_seconds(json, "in_state_s");
  link.carrier = read_text(json, "carrier");
  link.rtt = read_optional(json, "rtt_s");
  link.connections = read_count(json, "connections");
  link.detached_for = read_optional(json, "detached_for_s");
  link.grace_remaining = read_optional(json, "grace_remaining_s");
  link.reconnects = read_causes(json, "reconnects");
  link.resumes = read_count(json, "resumes");
  link.outage_total = read_seconds(json, "outage_total_s");
  link.replayed_bytes = read_count(json, "replayed_bytes");
  link.bytes_up = read_count(json, "bytes_up");
  link.bytes_down = read_count(json, "bytes_down");
  link.send_log_bytes = read_count(json, "send_log_bytes");
  link.send_log_limit_bytes = read_count(json, "send_log_limit_bytes");
  link.attempt = read_count(json, "attempt");
  link.dials = read_count(json, "dials");
  link.held_down = json.value("held_down", false);
  link.retiring = json.value("retiring", false);
  link.last_error = read_text(json, "last_error");
  return link;
}

ConnectionSnapshot read_connection(const Json& json) {
  ConnectionSnapshot connection;
  connection.id = read_text(json, "id");
  connection.link = read_text(json, "link");
  connection.service = read_text(json, "service");
  connection.peer = read_text(json, "peer");
  connection.client = read_text(json, "client");
  connection.destination = read_text(json, "destination");
  connection.target = read_text(json, "target");
  connection.state =
      connection_state_from(read_text(json, "state")).value_or(ConnectionState::open);
  connection.client_end = end_state_from(read_text(json, "client_end")).value_or(EndState::open);
  connection.target_end = end_state_from(read_text(json, "target_end")).value_or(EndState::open);
  connection.bytes_up = read_count(json, "bytes_up");
  connection.bytes_down = read_count(json, "bytes_down");
  connection.unacked_bytes = read_count(json, "unacked_bytes");
  connection.queued_bytes = read_count(json, "queued_bytes");
  connection.window_bytes = read_count(json, "window_bytes");
  std::string pause = read_text(json, "pause_reason");
  for (Pause known : {Pause::credit, Pause::memory}) {
    if (pause == to_string(known)) connection.pause = known;
  }
  connection.duration = read_seconds(json, "duration_s");
  connection.idle = read_seconds(json, "idle_s");
  connection.detached = read_seconds(json, "detached_s");
  connection.resumes = read_count(json, "resumes");
  connection.replayed_bytes = read_count(json, "replayed_bytes");
  connection.opened_at_ms = read_instant(json, "opened_at");
  connection.grace = read_seconds(json, "grace_s");
  connection.grace_remaining = read_optional(json, "grace_remaining_s");
  return connection;
}

ServiceCounters read_service(const Json& json) {
  return {read_count(json, "opened"), read_causes(json, "closed"), read_count(json, "bytes_up"),
          read_count(json, "bytes_down")};
}

AgentTotals read_totals(const Json& json) {
  AgentTotals totals;
  totals.replayed_bytes = read_count(json, "replayed_bytes");
  totals.connections_resumed = read_count(json, "connections_resumed");
  totals.reconnects = read_causes(json, "reconnects");
  totals.outage_total = read_seconds(json, "outage_total_s");
  totals.paused_credit = read_count(json, "paused_credit");
  totals.paused_memory = read_count(json, "paused_memory");
  totals.paused_descriptors = read_count(json, "paused_descriptors");
  totals.carriers_refused = read_causes(json, "carriers_refused");
  totals.log_lines_dropped = read_count(json, "log_lines_dropped");
  return totals;
}

void read_parts(const Json& json, AgentSnapshot& snapshot) {
  for (const Json& link : json.value("links", Json::array())) {
    snapshot.links.push_back(read_link(link));
  }
  const Json states = json.value("connections", Json::object());
  for (ConnectionState state : kConnectionStates) {
    snapshot.connections_by_state[state] =
        read_count(states, std::string(to_string(state)).c_str());
  }
  const Json services = json.value("services", Json::object());
  for (const auto& [name, service] : services.items()) {
    snapshot.services[name] = read_service(service);
  }
  const Json loop = json.value("loop", Json::object());
  snapshot.turns.turns = read_count(loop, "turns");
  snapshot.turns.busy = read_seconds(loop, "busy_s");
  snapshot.turns.longest = read_seconds(loop, "longest_turn_s");
  snapshot.longest_answer = read_seconds(loop, "longest_answer_s");
  snapshot.totals = read_totals(json.value("totals", Json::object()));
}

AgentSnapshot read_status(const Json& json) {
  AgentSnapshot snapshot;
  snapshot.kind = read_text(json, "kind") == "server" ? AgentKind::server : AgentKind::client;
  snapshot.name = read_text(json, "name");
  snapshot.version = read_text(json, "version");
  snapshot.pid = json.value("pid", std::int64_t{0});
  snapshot.started_at_ms = read_instant(json, "started_at");
  snapshot.uptime = read_seconds(json, "uptime_s");
  snapshot.config_path = read_text(json, "config");
  snapshot.ready = json.value("ready", false);
  snapshot.reason = read_text(json, "reason");
  snapshot.draining = json.value("draining", false);
  snapshot.listening = json.value("listening", std::vector<std::string>());
  for (const Json& each : json.value("not_listening", Json::array())) {
    snapshot.not_listening.push_back({read_text(each, "address"), read_text(each, "reason")});
  }
  snapshot.peers = json.value("peers", std::vector<std::string>());
  snapshot.connections_limit = read_count(json, "connections_limit");
  snapshot.send_log_bytes = read_count(json, "send_log_bytes");
  snapshot.send_log_limit_bytes = read_count(json, "send_log_limit_bytes");
  snapshot.log_level = read_text(json, "log_level");
  read_parts(json, snapshot);
  return snapshot;
}

Json not_listening_json(const std::vector<NotListening>& addresses) {
  Json json = Json::array();
  for (const NotListening& each : addresses) {
    json.push_back({{"address", each.address}, {"reason", each.reason}});
  }
  return json;
}

template <typename T>
Result<T> parsed(std::string_view text, T (*read)(const Json&)) {
  try {
    return read(Json::parse(text));
  } catch (const std::exception&) {
    return Error{"the agent's answer cannot be read; is it of a very different version?"};
  }
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

Result<AgentSnapshot> parse_status(std::string_view text) {
  return parsed(text, &read_status);
}

Result<std::vector<ConnectionSnapshot>> parse_connections(std::string_view text) {
  auto read = [](const Json& json) {
    std::vector<ConnectionSnapshot> out;
    if (!json.is_array()) throw std::invalid_argument("not an array");
    for (const Json& one : json) out.push_back(read_connection(one));
    return out;
  };
  return parsed<std::vector<ConnectionSnapshot>>(text, +read);
}

Result<ConnectionSnapshot> parse_one_connection(std::string_view text) {
  return parsed<ConnectionSnapshot>(text, &read_connection);
}

std::string parse_message(std::string_view text) {
  auto read = [](const Json& json) {
    for (const char* key : {"message", "error", "reason"}) {
      if (json.contains(key)) return read_text(json, key);
    }
    return std::string();
  };
  Result<std::string> message = parsed<std::string>(text, +read);
  return message ? *message : std::string();
}

}  // namespace holdfast
