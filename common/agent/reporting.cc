#include "common/agent/reporting.h"

#include <unistd.h>

#include <chrono>

namespace holdfast {
namespace {

std::int64_t wall_clock_ms() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return duration_cast<milliseconds>(now).count();
}

LinkState state_of(const Link& link) {
  std::string_view name = link.state_name();
  if (name == "detached") {
    bool waits = link.grace_deadline() != kNever || link.stream_count() != 0;
    return waits ? LinkState::detached : LinkState::waiting;
  }
  return link_state_from(name).value_or(LinkState::ended);
}

ConnectionState state_of(const StreamSummary& summary, bool live) {
  if (summary.open_state == OpenState::queued || summary.open_state == OpenState::connecting) {
    return ConnectionState::opening;
  }
  if (!live) return ConnectionState::detached;
  if (summary.open_state != OpenState::open) return ConnectionState::opening;
  bool ends = summary.own_end != EndMark::none || summary.peer_end != EndMark::none;
  return ends ? ConnectionState::closing : ConnectionState::open;
}

ConnectionSnapshot shown(const ConnectionInfo& info, ConnectionState state, std::int64_t wall_ms) {
  const StreamSummary& summary = info.summary;
  ConnectionSnapshot shown;
  shown.id = info.id();
  shown.service = info.service;
  shown.peer = info.peer;
  shown.client = info.client;
  shown.target = info.target;
  shown.state = state;
  shown.bytes_up = info.bytes_up;
  shown.bytes_down = info.bytes_down;
  shown.unacked_bytes = summary.unacked_bytes;
  shown.queued_bytes = summary.queued_bytes;
  shown.window_bytes = summary.window;
  shown.paused = summary.paused;
  shown.duration = summary.age;
  shown.detached = summary.detached;
  shown.resumes = summary.resumes;
  shown.replayed_bytes = summary.replayed_bytes;
  shown.opened_at_ms = wall_ms - duration_cast<milliseconds>(summary.age).count();
  return shown;
}

LinkSnapshot describe(const LinkDriver& driver, const Ledger& ledger, const MemoryPool& pool,
                      Time now) {
  const Link& link = driver.link();
  const LinkCounters& counters = link.counters();
  const Ledger::LinkTally* tally = ledger.tally(link.id());
  LinkSnapshot out;
  out.id = link.id().to_string();
  out.peer = driver.peer();
  out.state = state_of(link);
  out.in_state = now - (tally != nullptr ? tally->changed_at : ledger.idle_since());
  out.carrier = driver.carrier_address();
  if (link.live() && link.liveness().round_trip() > Duration{}) {
    out.rtt = link.liveness().round_trip();
  }
  out.connections = link.stream_count();
  if (link.detached()) {
    out.detached_for = out.in_state;
    if (link.grace_deadline() != kNever) out.grace_remaining = link.grace_deadline() - now;
  }
  if (tally != nullptr) out.reconnects = tally->reconnects;
  out.resumes = counters.resumes;
  out.outage_total = counters.outage;
  out.replayed_bytes = counters.replayed_bytes;
  out.send_log_bytes = link.send_log_bytes();
  out.send_log_limit_bytes = std::min(link.options().memory_cap, pool.memory() / 2);
  out.attempt = link.attempt();
  out.last_error = link.live() ? "" : driver.last_error();
  return out;
}

}  // namespace

AgentSnapshot begin_snapshot(const AgentFacts& facts, const Ledger& ledger, const Logger& logger,
                             const MemoryPool& pool, Time now) {
  AgentSnapshot snapshot;
  snapshot.kind = facts.kind;
  snapshot.name = facts.name;
  snapshot.version = HOLDFAST_VERSION;
  snapshot.pid = getpid();
  snapshot.uptime = now - facts.started_at;
  snapshot.started_at_ms = wall_clock_ms() - duration_cast<milliseconds>(snapshot.uptime).count();
  snapshot.config_path = facts.config_path;
  snapshot.connections_limit = pool.max_streams();
  snapshot.send_log_limit_bytes = pool.memory() / 2;
  for (const std::string& name : facts.services) snapshot.services[name];
  for (const auto& [name, counters] : ledger.closed()) snapshot.services[name] = counters;
  snapshot.totals = ledger.totals();
  snapshot.totals.log_lines_dropped = logger.dropped();
  return snapshot;
}

void add_link(AgentSnapshot& snapshot, const LinkDriver& driver, const Ledger& ledger,
              const MemoryPool& pool, const SnapshotQuery& query, Time now) {
  const Link& link = driver.link();
  snapshot.links.push_back(describe(driver, ledger, pool, now));
  snapshot.send_log_bytes += link.send_log_bytes();
  snapshot.totals.paused_credit += link.counters().pauses_credit;
  snapshot.totals.paused_memory += link.counters().pauses_memory;
  if (query.connections && !snapshot.connections) snapshot.connections.emplace();
  bool live = link.live();
  std::int64_t wall_ms = wall_clock_ms();
  // Names are made only for who asks to see them: there may be thousands.
  bool client = link.options().role == LinkOptions::Role::client;
  link.for_each_stream(now, [&](StreamHandle stream, const StreamSummary& summary) {
    ConnectionState state = state_of(summary, live);
    snapshot.connections_by_state[state] += 1;
    ServiceCounters& service = snapshot.services[link.options().services[summary.service].name];
    service.opened += 1;
    service.bytes_up += client ? summary.sent_bytes : summary.received_bytes;
    service.bytes_down += client ? summary.received_bytes : summary.sent_bytes;
    snapshot.totals.replayed_bytes += summary.replayed_bytes;
    if (!query.connections) return;
    snapshot.connections->push_back(shown(driver.info(stream, summary), state, wall_ms));
  });
}

std::uint64_t count_streams(const Link& link, std::string_view section, bool whole, Time now) {
  if (whole) return link.stream_count();
  std::uint64_t count = 0;
  link.for_each_stream(now, [&](StreamHandle, const StreamSummary& summary) {
    if (section == "services." + link.options().services[summary.service].name) count += 1;
  });
  return count;
}

}  // namespace holdfast
