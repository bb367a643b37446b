// Snapshots read back from their JSON.
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "common/admin/snapshot_json.h"

namespace holdfast {
namespace {

using Json = nlohmann::ordered_json;

// What these throw ends in parsed().

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
  link.balancer = read_text(json, "balancer");
  link.home = read_text(json, "home");
  auto subflows = json.find("subflows");
  if (subflows != json.end() && subflows->is_number())
    link.subflows = subflows->get<std::uint64_t>();
  link.rtt = read_optional(json, "rtt_s");
  link.connections = read_count(json, "connections");
  link.opening = read_count(json, "opening");
  link.silent_for = read_optional(json, "silent_for_s");
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
  link.barren = read_count(json, "barren");
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
  connection.keepalive = read_seconds(json, "keepalive_s");
  connection.idle_timeout = read_optional(json, "idle_timeout_s");
  connection.half_close_timeout = read_optional(json, "half_close_timeout_s");
  connection.grace = read_seconds(json, "grace_s");
  connection.grace_remaining = read_optional(json, "grace_remaining_s");
  return connection;
}

ServiceCounters read_service(const Json& json) {
  ServiceCounters service{read_count(json, "opened"), read_causes(json, "closed"),
                          read_count(json, "bytes_up"), read_count(json, "bytes_down"),
                          read_text(json, "listen")};
  auto granted = json.find("granted");
  if (granted != json.end() && granted->is_boolean()) service.granted = granted->get<bool>();
  auto target = json.find("target");
  if (target != json.end() && target->is_string()) {
    bool answers = *target == "answers";
    service.target = answers ? Cause::none : cause_from_name(target->get<std::string>());
  }
  service.target_age = read_optional(json, "target_age_s");
  return service;
}

AgentTotals read_totals(const Json& json) {
  AgentTotals totals;
  totals.replayed_bytes = read_count(json, "replayed_bytes");
  totals.connections_resumed = read_count(json, "connections_resumed");
  totals.reconnects = read_causes(json, "reconnects");
  totals.carriers_barren = read_count(json, "carriers_barren");
  totals.outage_total = read_seconds(json, "outage_total_s");
  totals.paused_credit = read_count(json, "paused_credit");
  totals.paused_memory = read_count(json, "paused_memory");
  totals.paused_descriptors = read_count(json, "paused_descriptors");
  totals.carriers_refused = read_causes(json, "carriers_refused");
  totals.carriers_accepted = read_count(json, "carriers_accepted");
  totals.health_checks = read_count(json, "health_checks");
  totals.links_refused = read_causes(json, "links_refused");
  totals.log_lines_dropped = read_count(json, "log_lines_dropped");
  totals.reload_success = json.value("reload_success", true);
  totals.reload_error = read_text(json, "reload_error");
  return totals;
}

RecoveryReport read_recovery(const Json& json) {
  RecoveryReport recovery;
  if (!json.is_object()) return recovery;
  recovery.reason = read_text(json, "reason");
  recovery.links = read_count(json, "links");
  recovery.connections = read_count(json, "connections");
  recovery.adopted = read_count(json, "adopted");
  recovery.corrected = read_count(json, "corrected");
  recovery.lost = read_count(json, "lost");
  recovery.gap = read_seconds(json, "gap_s");
  recovery.connections_in_all = read_count(json, "connections_in_all");
  return recovery;
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
  snapshot.totals.recovery = read_recovery(json.value("recovery", Json()));
}

AgentSnapshot read_status(const Json& json) {
  AgentSnapshot snapshot;
  snapshot.kind = read_text(json, "kind") == "server" ? AgentKind::server : AgentKind::client;
  snapshot.name = read_text(json, "name");
  snapshot.version = read_text(json, "version");
  snapshot.pid = json.value("pid", std::int64_t{0});
  snapshot.keeper_pid = json.value("keeper_pid", std::int64_t{0});
  snapshot.program = read_text(json, "program");
  snapshot.state_format = read_text(json, "state_format");
  snapshot.start_reason = read_text(json, "start_reason");
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

template <typename T>
Result<T> parsed(std::string_view text, T (*read)(const Json&)) {
  try {
    return read(Json::parse(text));
  } catch (const std::exception&) {
    return Error{"the agent's answer cannot be read; is it of a very different version?"};
  }
}

}  // namespace

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
