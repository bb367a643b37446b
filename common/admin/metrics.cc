#include "common/admin/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/config/config.h"

namespace holdfast {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

double in_seconds(Duration duration) {
  return static_cast<double>(duration.count()) / 1e6;
}

class Metrics {
 public:
  // Starts a family; values follow. One without values is not shown.
  Metrics& family(const char* name, MetricType type, const char* help) {
    families_.push_back({name, help, type, {}});
    return *this;
  }
  Metrics& value(double amount, Labels labels = {}) {
    ClientMetric metric;
    metric.label = std::move(labels);
    MetricFamily& family = families_.back();
    (family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = amount;
    family.metric.push_back(std::move(metric));
    return *this;
  }
  Metrics& value(std::uint64_t amount, Labels labels = {}) {
    return value(static_cast<double>(amount), std::move(labels));
  }
  Metrics& add(ClientMetric metric) {
    families_.back().metric.push_back(std::move(metric));
    return *this;
  }
  Metrics& gauge(const char* name, const char* help) {
    return family(name, MetricType::Gauge, help);
  }
  Metrics& counter(const char* name, const char* help) {
    return family(name, MetricType::Counter, help);
  }

  std::string text() {
    std::erase_if(families_, [](const MetricFamily& one) { return one.metric.empty(); });
    return prometheus::TextSerializer().Serialize(families_);
  }

 private:
  std::vector<MetricFamily> families_;
};

// What one peer's links come to. A client's are told apart by their names in the config, and the
// one of the simple form has no label.
struct PeerState {
  bool up = false;
  std::optional<Duration> rtt;
  std::optional<Duration> grace_remaining;
  std::optional<Duration> silent;  // the link that is heard best; none: nobody knows of one
};

// Since when nothing is heard: of a link that is silent or down.
Duration silence_of(const LinkSnapshot& link) {
  return link.silent_for.value_or(link.detached_for.value_or(Duration{}));
}

std::map<std::string, PeerState> peer_states(const AgentSnapshot& snapshot) {
  std::map<std::string, PeerState> peers;
  bool server = snapshot.kind == AgentKind::server;
  for (const std::string& name : snapshot.peers) peers[name];
  for (const LinkSnapshot& link : snapshot.links) {
    bool simple = !server && link.name == kDefaultLinkName;
    PeerState& peer = peers[server ? link.peer : simple ? "" : link.name];
    bool live = link.state == LinkState::live;
    Duration silent = live ? Duration{} : silence_of(link);
    peer.silent = std::min(silent, peer.silent.value_or(silent));
    if (live || link.state == LinkState::silent) {
      peer.up = true;
      if (link.rtt) peer.rtt = std::min(*link.rtt, peer.rtt.value_or(*link.rtt));
    } else if (link.grace_remaining) {
      Duration left = *link.grace_remaining;
      peer.grace_remaining = std::min(left, peer.grace_remaining.value_or(left));
    }
  }
  return peers;
}

Labels peer_labels(const AgentSnapshot& snapshot, const std::string& name) {
  if (name.empty()) return {};
  return {{snapshot.kind == AgentKind::server ? "peer" : "link", name}};
}

void add_loop(Metrics& metrics, const AgentSnapshot& snapshot) {
  const TurnHistogram& turns = snapshot.turns;
  ClientMetric metric;
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < TurnHistogram::kBounds.size(); ++i) {
    below += turns.counts[i];
    metric.histogram.bucket.push_back({below, in_seconds(TurnHistogram::kBounds[i])});
  }
  metric.histogram.bucket.push_back({turns.turns, std::numeric_limits<double>::infinity()});
  metric.histogram.sample_count = turns.turns;
  metric.histogram.sample_sum = in_seconds(turns.busy);
  metrics
      .family("holdfast_loop_turn_seconds", MetricType::Histogram,
              "How long the turns of the agent's loop took, without waiting.")
      .add(std::move(metric));
  metrics.gauge("holdfast_loop_longest_turn_seconds", "The longest of them since the start.")
      .value(in_seconds(turns.longest));
  metrics
      .gauge("holdfast_admin_longest_answer_seconds",
             "CPU time of the loop that one question about the agent took at most.")
      .value(in_seconds(snapshot.longest_answer));
}

void add_links(Metrics& metrics, const AgentSnapshot& snapshot) {
  auto peers = peer_states(snapshot);
  metrics.gauge("holdfast_link_up", "1 while a link to the peer has a live carrier.");
  for (const auto& [name, peer] : peers)
    metrics.value(peer.up ? 1.0 : 0.0, peer_labels(snapshot, name));
  metrics.gauge(
      "holdfast_link_silent_seconds",
      "For how long nothing was heard through any link to the peer; 0 while it is heard.");
  for (const auto& [name, peer] : peers) {
    if (peer.silent) metrics.value(in_seconds(*peer.silent), peer_labels(snapshot, name));
  }
  metrics.gauge("holdfast_link_rtt_seconds", "Smoothed round trip to the peer.");
  for (const auto& [name, peer] : peers) {
    if (peer.rtt) metrics.value(in_seconds(*peer.rtt), peer_labels(snapshot, name));
  }
  metrics.gauge("holdfast_grace_remaining_seconds",
                "How long the peer's detached connections are still kept.");
  for (const auto& [name, peer] : peers) {
    if (peer.grace_remaining) {
      metrics.value(in_seconds(*peer.grace_remaining), peer_labels(snapshot, name));
    }
  }
}

// Links by the server that they are at: of a fleet, which one has how many.
void add_homes(Metrics& metrics, const AgentSnapshot& snapshot) {
  bool server = snapshot.kind == AgentKind::server;
  std::map<std::pair<std::string, std::string>, std::uint64_t> homes;
  for (const LinkSnapshot& link : snapshot.links) {
    std::string at = server ? snapshot.name : link.peer;
    if (!at.empty()) homes[{at, link.home}] += 1;
  }
  metrics.gauge("holdfast_link_home",
                "Links, by the server that has them and the home that it is found by.");
  for (const auto& [where, count] : homes) {
    metrics.value(count, {{"server", where.first}, {"home", where.second}});
  }
}

void add_reconnects(Metrics& metrics, const AgentTotals& totals) {
  // From 0 on, with what a carrier is usually lost by, so that the first one shows as a rise.
  auto reconnects = totals.reconnects;
  for (Cause cause : {Cause::carrier_reset, Cause::carrier_eof, Cause::carrier_silent,
                      Cause::carrier_replaced, Cause::reconnect}) {
    reconnects.try_emplace(cause, 0);
  }
  metrics.counter("holdfast_link_reconnects_total", "Carriers lost, by reason.");
  for (const auto& [cause, count] : reconnects) {
    metrics.value(count, {{"reason", std::string(to_string(cause))}});
  }
  metrics
      .counter(
          "holdfast_carriers_barren_total",
          "Carriers that were established and delivered nothing, as if large packets were lost.")
      .value(totals.carriers_barren);
  metrics
      .counter("holdfast_link_outage_seconds_total",
               "Time that nothing was heard through links: silent, or without a carrier.")
      .value(in_seconds(totals.outage_total));
  metrics.counter("holdfast_carriers_refused_total", "Carriers that were turned away, by cause.");
  for (const auto& [cause, count] : totals.carriers_refused) {
    metrics.value(count, {{"cause", std::string(to_string(cause))}});
  }
  metrics
      .counter("holdfast_carriers_accepted_total",
               "Sockets that were accepted for links, each a handshake to be made.")
      .value(totals.carriers_accepted);
  metrics
      .counter("holdfast_health_checks_total",
               "Sockets for links that were no client's: checks of balancers, and scans.")
      .value(totals.health_checks);
}

void add_connections(Metrics& metrics, const AgentSnapshot& snapshot) {
  metrics.gauge("holdfast_connections", "Connections now, by state.");
  for (ConnectionState state : kConnectionStates) {
    auto found = snapshot.connections_by_state.find(state);
    bool known = found != snapshot.connections_by_state.end();
    metrics.value(known ? found->second : 0, {{"state", std::string(to_string(state))}});
  }
  metrics.gauge("holdfast_connections_limit", "Connections that are allowed at most.")
      .value(snapshot.connections_limit);
  metrics
      .gauge("holdfast_connections_safe",
             "Connections without a carrier that are kept while the grace lasts.")
      .value(safe_connections(snapshot).count);
  metrics
      .counter("holdfast_connections_resumed_total",
               "Connections that went on after an outage, once per outage.")
      .value(snapshot.totals.connections_resumed);
}

void add_services(Metrics& metrics, const std::map<std::string, ServiceCounters>& services) {
  metrics.counter("holdfast_connections_opened_total", "Connections opened, by service.");
  for (const auto& [name, service] : services) metrics.value(service.opened, {{"service", name}});
  metrics.counter("holdfast_connections_closed_total", "Connections ended, by service and cause.");
  for (const auto& [name, service] : services) {
    for (const auto& [cause, count] : service.closed) {
      metrics.value(count, {{"service", name}, {"cause", std::string(to_string(cause))}});
    }
  }
  metrics.gauge("holdfast_service_granted",
                "Client: 1 while the server grants the service, 0 not.");
  for (const auto& [name, service] : services) {
    if (service.granted) metrics.value(*service.granted ? 1.0 : 0.0, {{"service", name}});
  }
  metrics.gauge(
      "holdfast_service_target_up",
      "1 if the last connect to the service's target stood, a check's or a connection's.");
  for (const auto& [name, service] : services) {
    if (!service.target) continue;
    metrics.value(*service.target == Cause::none ? 1.0 : 0.0, {{"service", name}});
  }
  metrics.counter("holdfast_bytes_total",
                  "Bytes of applications, counted live; up is towards the target.");
  for (const auto& [name, service] : services) {
    metrics.value(service.bytes_up, {{"service", name}, {"direction", "up"}});
    metrics.value(service.bytes_down, {{"service", name}, {"direction", "down"}});
  }
}

void add_memory(Metrics& metrics, const AgentSnapshot& snapshot) {
  const AgentTotals& totals = snapshot.totals;
  metrics.counter("holdfast_replayed_bytes_total", "Bytes sent again after an outage.")
      .value(totals.replayed_bytes);
  metrics.gauge("holdfast_send_log_bytes", "Bytes kept until the far application has them.")
      .value(snapshot.send_log_bytes);
  metrics.gauge("holdfast_send_log_limit_bytes", "Most that may be kept.")
      .value(snapshot.send_log_limit_bytes);
  metrics.counter("holdfast_paused_reading_total", "Times that reading was paused, by reason.")
      .value(totals.paused_credit, {{"reason", "credit"}})
      .value(totals.paused_memory, {{"reason", "memory"}})
      .value(totals.paused_descriptors, {{"reason", "descriptors"}});
  metrics.counter("holdfast_log_lines_dropped_total", "Log lines that were never written.")
      .value(totals.log_lines_dropped);
}

void add_recoveries(Metrics& metrics, const RecoveryReport& recovery) {
  auto& all = metrics.counter("holdfast_recoveries_total",
                              "Times that a process went on with the one before it, by why.");
  for (const char* reason : {"killed", "crashed", "upgrade", "restart", "parked", "orphaned"}) {
    auto known = recovery.recoveries.find(reason);
    std::uint64_t count = known != recovery.recoveries.end() ? known->second : 0;
    all.value(count, {{"reason", reason}});
  }
  metrics.counter("holdfast_connections_recovered_total", "Connections that were gone on with so.")
      .value(recovery.connections_in_all);
  metrics
      .gauge("holdfast_recovery_seconds",
             "How long nobody was there the last time; 0: it did not happen.")
      .value(in_seconds(recovery.gap));
}

void add_certificates(Metrics& metrics, const AgentSnapshot& snapshot) {
  if (snapshot.certificates.empty()) return;
  auto& ends = metrics.gauge("holdfast_certificate_expiry_seconds",
                             "When a certificate of the config ends, since the epoch, by its key.");
  for (const auto& [key, end] : snapshot.certificates) {
    ends.value(static_cast<double>(end), {{"key", key}});
  }
}

}  // namespace

std::string metrics_text(const AgentSnapshot& snapshot) {
  Metrics metrics;
  metrics.gauge("holdfast_build_info", "Always 1; the labels say what runs.")
      .value(1.0, {{"version", snapshot.version}, {"kind", std::string(to_string(snapshot.kind))}});
  metrics.gauge("holdfast_start_time_seconds", "When the agent started, since the epoch.")
      .value(static_cast<double>(snapshot.started_at_ms) / 1000);
  metrics.gauge("holdfast_ready", "1 while the agent is usable, as /readyz says.")
      .value(snapshot.ready ? 1.0 : 0.0);
  metrics.gauge("holdfast_listening",
                "1 while an address is listened on, 0 while it cannot be had.");
  std::set<std::string> listening(snapshot.listening.begin(), snapshot.listening.end());
  // A name that has moved where it cannot be listened on is still served where it was.
  for (const NotListening& each : snapshot.not_listening) listening.erase(each.address);
  for (const std::string& each : listening) {
    metrics.value(1.0, {{"address", each}});
  }
  for (const NotListening& each : snapshot.not_listening) {
    metrics.value(0.0, {{"address", each.address}});
  }
  metrics.gauge("holdfast_draining", "1 while no new connections are taken, before an exit.")
      .value(snapshot.draining ? 1.0 : 0.0);
  metrics
      .gauge("holdfast_config_reload_success",
             "1 while the last reload was good, or there was none; 0 after a refused one.")
      .value(snapshot.totals.reload_success ? 1.0 : 0.0);
  metrics.counter("holdfast_config_reloads_total", "Reloads, by result.")
      .value(snapshot.totals.reloads, {{"result", "applied"}})
      .value(snapshot.totals.reloads_failed, {{"result", "refused"}});
  add_recoveries(metrics, snapshot.totals.recovery);
  add_certificates(metrics, snapshot);
  add_links(metrics, snapshot);
  add_homes(metrics, snapshot);
  add_reconnects(metrics, snapshot.totals);
  if (snapshot.kind == AgentKind::client) {
    metrics.counter("holdfast_links_refused_total", "Links that the server refused, by cause.");
    for (const auto& [cause, count] : snapshot.totals.links_refused) {
      metrics.value(count, {{"cause", std::string(to_string(cause))}});
    }
  }
  add_connections(metrics, snapshot);
  add_services(metrics, snapshot.services);
  add_memory(metrics, snapshot);
  add_loop(metrics, snapshot);
  return metrics.text();
}

}  // namespace holdfast
