#include "common/agent/reporting.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "common/io/secure_random.h"

namespace holdfast {
namespace {

std::int64_t wall_clock_ms() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return duration_cast<milliseconds>(now).count();
}

LinkState state_of(const Link& link) {
  std::string_view name = link.state_name();
  if (link.silent()) return LinkState::silent;
  // One that never stood has nothing that could be resumed.
  if (name == "detached" && link.outage_since() == kNever) return LinkState::waiting;
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

EndState end_state(EndMark mark) {
  if (mark == EndMark::none) return EndState::open;
  return has_abort(mark) ? EndState::reset : EndState::finished;
}

bool is_client(const Link& link) {
  return link.options().role == LinkOptions::Role::client;
}

// How long a service's streams are kept yet; nothing while a carrier carries the link.
std::optional<Duration> grace_left(const Link& link, std::size_t service, Time now) {
  if (link.grace_deadline() == kNever) return std::nullopt;
  Time own = link.detached_since() + link.options().services[service].grace;
  return std::max(std::min(own, link.grace_deadline()) - now, Duration{});
}

ConnectionSnapshot shown(const LinkDriver& driver, StreamHandle stream,
                         const StreamSummary& summary, Time now) {
  const Link& link = driver.link();
  ConnectionInfo info = driver.info(stream, summary);
  ConnectionSnapshot shown;
  shown.id = info.id();
  shown.link = info.link.to_string();
  shown.service = info.service;
  shown.peer = info.peer;
  shown.client = std::move(info.client);
  shown.destination = std::move(info.destination);
  shown.target = std::move(info.target);
  shown.state = state_of(summary, link.live());
  shown.client_end = end_state(is_client(link) ? summary.own_end : summary.peer_end);
  shown.target_end = end_state(is_client(link) ? summary.peer_end : summary.own_end);
  shown.bytes_up = info.bytes_up;
  shown.bytes_down = info.bytes_down;
  shown.unacked_bytes = summary.unacked_bytes;
  shown.queued_bytes = summary.queued_bytes;
  shown.window_bytes = summary.window;
  shown.pause = summary.pause;
  shown.duration = summary.age;
  shown.idle = summary.idle;
  shown.detached = summary.detached;
  shown.resumes = summary.resumes;
  shown.replayed_bytes = summary.replayed_bytes;
  shown.opened_at_ms = wall_clock_ms() - duration_cast<milliseconds>(summary.age).count();
  Patience patience = driver.patience(summary.service);
  shown.keepalive = *patience.keepalive;
  shown.idle_timeout = patience.idle;
  shown.half_close_timeout = patience.half_close;
  shown.grace = link.options().services[summary.service].grace;
  shown.grace_remaining = grace_left(link, summary.service, now);
  return shown;
}

LinkSnapshot describe(const LinkDriver& driver, const EventRecorder& recorder,
                      const MemoryPool& pool, Time now) {
  const Link& link = driver.link();
  const LinkCounters& counters = link.counters();
  const EventRecorder::LinkTally* tally = recorder.tally(link.id());
  LinkSnapshot out;
  out.id = link.id().to_string();
  out.peer = driver.peer();
  out.state = state_of(link);
  out.in_state = now - (tally != nullptr ? tally->changed_at : recorder.idle_since());
  out.carrier = driver.carrier_address();
  out.balancer = driver.balancer();
  out.home = link.home().name.empty() ? link.home().address : link.home().name;
  out.subflows = driver.subflows();
  if (link.live() && !link.silent() && link.liveness().round_trip() > Duration{}) {
    out.rtt = link.liveness().round_trip();
  }
  out.connections = link.stream_count();
  if (link.silent()) out.silent_for = now - link.outage_since();
  // Also while a new carrier says hello: it is not there yet.
  if (link.grace_deadline() != kNever) {
    out.detached_for = now - link.outage_since();
    out.grace_remaining = std::max(link.grace_deadline() - now, Duration{});
  } else if (link.detached()) {
    out.detached_for = out.in_state;
  }
  out.barren = link.barren_carriers();
  if (tally != nullptr) out.reconnects = tally->reconnects;
  out.resumes = counters.resumes;
  out.outage_total = counters.outage;
  out.replayed_bytes = counters.replayed_bytes;
  out.bytes_up = is_client(link) ? counters.sent_bytes : counters.received_bytes;
  out.bytes_down = is_client(link) ? counters.received_bytes : counters.sent_bytes;
  out.send_log_bytes = link.send_log_bytes();
  out.send_log_limit_bytes = std::min(link.options().memory_cap, pool.memory() / 2);
  out.attempt = link.attempt();
  bool well = link.live() && out.barren == 0;
  out.last_error = well ? "" : driver.last_error();
  return out;
}

// One service's open streams, added to the snapshot's sums.
void add_tally(AgentSnapshot& snapshot, const Link& link, std::size_t service,
               const ServiceTally& tally) {
  std::uint64_t opened = tally.asked + tally.open + tally.closing;
  auto& states = snapshot.connections_by_state;
  states[ConnectionState::opening] += tally.waiting;
  if (link.live()) {
    states[ConnectionState::opening] += tally.asked;
    states[ConnectionState::open] += tally.open;
    states[ConnectionState::closing] += tally.closing;
  } else {
    states[ConnectionState::detached] += opened;
  }
  ServiceCounters& counters = snapshot.services[link.options().services[service].name];
  counters.opened += tally.waiting + opened;
  counters.bytes_up += is_client(link) ? tally.sent_bytes : tally.received_bytes;
  counters.bytes_down += is_client(link) ? tally.received_bytes : tally.sent_bytes;
  snapshot.totals.replayed_bytes += tally.replayed_bytes;
}

}  // namespace

AgentSnapshot begin_snapshot(const AgentFacts& facts, const EventRecorder& recorder,
                             const Logger& logger, Time now) {
  AgentSnapshot snapshot;
  snapshot.kind = facts.kind;
  snapshot.name = facts.name;
  snapshot.version = HOLDFAST_VERSION;
  snapshot.pid = getpid();
  snapshot.uptime = now - facts.started_at;
  snapshot.started_at_ms = wall_clock_ms() - duration_cast<milliseconds>(snapshot.uptime).count();
  snapshot.config_path = facts.config_path;
  snapshot.certificates = facts.certificates;
  for (const std::string& name : facts.services) snapshot.services[name];
  for (const auto& [name, counters] : recorder.closed()) snapshot.services[name] = counters;
  for (const auto& [name, target] : recorder.targets()) {
    ServiceCounters& service = snapshot.services[name];
    service.target = target.cause;
    service.target_age = std::max(now - target.at, Duration{});
  }
  snapshot.totals = recorder.totals(now);
  snapshot.totals.log_lines_dropped = logger.dropped();
  return snapshot;
}

void add_link(AgentSnapshot& snapshot, const LinkDriver& driver, const EventRecorder& recorder,
              const MemoryPool& pool, Time now) {
  const Link& link = driver.link();
  snapshot.links.push_back(describe(driver, recorder, pool, now));
  LinkSnapshot& shown_link = snapshot.links.back();
  snapshot.send_log_bytes += link.send_log_bytes();
  snapshot.totals.paused_credit += link.counters().pauses_credit;
  snapshot.totals.paused_memory += link.counters().pauses_memory;
  for (const LinkService& service : link.options().services) {
    if (!is_client(link) || !service.offered || !service.granted) continue;
    // Of several lanes any one's yes: what was revoked since shows as the target's answer.
    std::optional<bool>& granted = snapshot.services[service.name].granted;
    granted = granted.value_or(false) || *service.granted;
  }
  std::vector<ServiceTally> tallies = link.tally();
  for (std::size_t service = 0; service < tallies.size(); ++service) {
    const ServiceTally& tally = tallies[service];
    add_tally(snapshot, link, service, tally);
    shown_link.opening += tally.waiting + tally.asked;
    bool any = tally.open + tally.closing != 0;
    std::optional<Duration> left = grace_left(link, service, now);
    // The first connections to go decide what can be promised of all.
    if (any && left) {
      shown_link.grace_remaining = std::min(*left, shown_link.grace_remaining.value_or(*left));
    }
  }
}

ConnectionPage page_of(std::vector<const LinkDriver*> links, const ConnectionCursor& from,
                       Time now) {
  std::sort(links.begin(), links.end(), [](const LinkDriver* one, const LinkDriver* other) {
    return one->link().id() < other->link().id();
  });
  ConnectionPage page;
  auto& found = page.connections;
  for (const LinkDriver* driver : links) {
    const LinkId& id = driver->link().id();
    if (id < from.link) continue;
    auto room = kPageSlots - static_cast<SlotIndex>(found.size());
    SlotIndex slot = id == from.link ? from.slot : 0;
    SlotIndex rest = slot;
    if (room != 0) {
      // NOLINTNEXTLINE(readability-suspicious-call-argument): the order is (from, most)
      rest = driver->link().for_some_streams(
          now, slot, room, [&](StreamHandle stream, const StreamSummary& summary) {
            found.push_back(shown(*driver, stream, summary, now));
          });
    }
    if (rest == kNoSlot) continue;
    page.next = ConnectionCursor{id, rest};
    return page;
  }
  return page;
}

std::optional<ConnectionSnapshot> find_connection(const std::vector<const LinkDriver*>& links,
                                                  std::string_view id, Time now) {
  auto named = parse_connection(id);
  if (!named) return std::nullopt;
  for (const LinkDriver* driver : links) {
    if (driver->link().id().short_name() != named->link) continue;
    StreamHandle stream;
    auto summary = driver->link().find_stream(now, named->stream, &stream);
    if (summary) return shown(*driver, stream, *summary, now);
  }
  return std::nullopt;
}

std::uint64_t count_streams(const Link& link, std::string_view section, bool whole, Time now) {
  if (whole) return link.stream_count();
  return count_streams(link, now, [section](const LinkService& service, const StreamSummary&) {
    return section == "services." + service.name;
  });
}

std::uint64_t count_streams(
    const Link& link, Time now,
    const std::function<bool(const LinkService&, const StreamSummary&)>& counts) {
  std::uint64_t count = 0;
  link.for_each_stream(now, [&](StreamHandle, const StreamSummary& summary) {
    if (counts(link.options().services[summary.service], summary)) count += 1;
  });
  return count;
}

}  // namespace holdfast
