#include "common/agent/event_recorder.h"

#include <algorithm>

#include "common/config/config.h"

namespace holdfast {
namespace {

// Somebody meant it, and said so.
bool in_order(Cause cause) {
  return cause == Cause::goodbye || cause == Cause::shutdown;
}

// At a client the config's name of the link, of which "#N" is a lane; at a server the client.
std::string group_of(const LinkEvent& event) {
  return event.name.empty() ? event.peer : event.name.substr(0, event.name.find('#'));
}

}  // namespace

const EventRecorder::LinkTally* EventRecorder::tally(const LinkId& link) const {
  auto found = tallies_.find(link);
  return found == tallies_.end() ? nullptr : &found->second;
}

EventRecorder::LinkTally& EventRecorder::note_change(const LinkId& link) {
  LinkTally& tally = tallies_[link];
  tally.changed_at = read_boot_clock();
  return tally;
}

// From when on the peer was not heard: an outage that is known already began no later.
EventRecorder::LinkTally& EventRecorder::note_outage(const LinkEvent& event) {
  LinkTally& tally = tallies_[event.link];
  if (!tally.down_since) tally.down_since = event.since;
  tally.changed_at = *tally.down_since;
  if (!event.lane || event.connections != 0) {
    GroupOutage& group = outages_[group_of(event)];
    group.since =
        group.lanes.empty() ? *tally.down_since : std::min(group.since, *tally.down_since);
    group.lanes.insert(event.link);
  }
  return tally;
}

void EventRecorder::reloaded(const std::string& fault) {
  bool good = fault.empty();
  totals_.reload_success = good;
  totals_.reload_error = fault;
  (good ? totals_.reloads : totals_.reloads_failed) += 1;
}

void EventRecorder::outage_over(const LinkEvent& event) {
  tallies_[event.link].down_since.reset();
  // A client learns the server's name late, and another name is another group: by the link.
  for (auto group = outages_.begin(); group != outages_.end(); ++group) {
    if (group->second.lanes.erase(event.link) == 0) continue;
    if (!group->second.lanes.empty()) return;
    totals_.outage_total += read_boot_clock() - group->second.since;
    outages_.erase(group);
    return;
  }
}

void EventRecorder::begin_from(const AgentSnapshot& living) {
  replayed_before_ = living.totals.replayed_bytes;
  for (const auto& [name, all] : living.services) {
    auto ended = closed_.find(name);
    const ServiceCounters none;
    const ServiceCounters& here = ended != closed_.end() ? ended->second : none;
    ServiceCounters& before = before_[name];
    before.opened = all.opened - here.opened;
    before.bytes_up = all.bytes_up - here.bytes_up;
    before.bytes_down = all.bytes_down - here.bytes_down;
  }
}

void EventRecorder::leave_out_before(AgentSnapshot& snapshot) const {
  auto leave_out = [](std::uint64_t& count, std::uint64_t before) {
    count -= std::min(count, before);
  };
  leave_out(snapshot.totals.replayed_bytes, replayed_before_);
  for (const auto& [name, before] : before_) {
    auto found = snapshot.services.find(name);
    if (found == snapshot.services.end()) continue;
    leave_out(found->second.opened, before.opened);
    leave_out(found->second.bytes_up, before.bytes_up);
    leave_out(found->second.bytes_down, before.bytes_down);
  }
}

AgentTotals EventRecorder::totals(Time now) const {
  AgentTotals totals = totals_;
  for (const auto& [group, outage] : outages_) {
    totals.outage_total += std::max(now - outage.since, Duration{});
  }
  return totals;
}

// --- Links ----------------------------------------------------------------------------------

void EventRecorder::link_up(const LinkEvent& event) {
  std::lock_guard lock(mutex_);
  LinkTally& tally = note_change(event.link);
  outage_over(event);
  history_.link_up(tally.changed_at, event.link, event.peer,
                   event.name == kDefaultLinkName ? "" : event.name);
  logger_.event(event.lane ? LogLevel::debug : LogLevel::info, "link_up",
                {{"link", event.link.short_name()},
                 {"name", event.name},
                 {"peer", event.peer},
                 {"address", event.address},
                 {"grace_s", event.grace}});
}

void EventRecorder::link_down(const LinkEvent& event) {
  std::lock_guard lock(mutex_);
  LinkTally& tally = note_outage(event);
  tally.reconnects[event.cause] += 1;
  history_.link_down(tally.changed_at, event.link, event.peer, event.cause, event.connections,
                     event.replayed_bytes);
  totals_.reconnects[event.cause] += 1;
  logger_.event(in_order(event.cause) ? LogLevel::info : LogLevel::warn, "link_down",
                {{"link", event.link.short_name()},
                 {"name", event.name},
                 {"peer", event.peer},
                 {"cause", to_string(event.cause)},
                 {"connections", event.connections},
                 {"grace_s", event.grace}});
}

void EventRecorder::link_resumed(const LinkEvent& event) {
  std::lock_guard lock(mutex_);
  LinkTally& tally = note_change(event.link);
  outage_over(event);
  history_.link_resumed(tally.changed_at, event.link, event.connections);
  totals_.connections_resumed += event.connections;
  logger_.event(LogLevel::info, "link_resumed",
                {{"link", event.link.short_name()},
                 {"name", event.name},
                 {"peer", event.peer},
                 {"address", event.address},
                 {"outage_s", event.outage},
                 {"connections", event.connections}});
}

void EventRecorder::link_silent(const LinkEvent& event) {
  std::lock_guard lock(mutex_);
  LinkTally& tally = note_outage(event);
  history_.link_silent(tally.changed_at, event.link, event.peer, event.connections,
                       event.replayed_bytes);
  logger_.event(LogLevel::warn, "link_silent",
                {{"link", event.link.short_name()},
                 {"name", event.name},
                 {"peer", event.peer},
                 {"address", event.address},
                 {"silent_s", read_boot_clock() - event.since},
                 {"connections", event.connections}});
}

void EventRecorder::link_heard(const LinkEvent& event) {
  std::lock_guard lock(mutex_);
  LinkTally& tally = note_change(event.link);
  outage_over(event);
  history_.link_heard(tally.changed_at, event.link, event.connections);
  logger_.event(LogLevel::info, "link_heard",
                {{"link", event.link.short_name()},
                 {"name", event.name},
                 {"peer", event.peer},
                 {"outage_s", event.outage},
                 {"connections", event.connections}});
}

void EventRecorder::link_ended(const LinkEvent& event) {
  std::lock_guard lock(mutex_);
  outage_over(event);
  tallies_.erase(event.link);
  idle_since_ = read_boot_clock();
  history_.link_ended(idle_since_, event.link, event.cause, event.bytes_up, event.bytes_down);
  totals_.paused_credit += event.pauses_credit;
  totals_.paused_memory += event.pauses_memory;
  bool in_vain = !in_order(event.cause);
  logger_.event(in_vain      ? LogLevel::warn
                : event.lane ? LogLevel::debug
                             : LogLevel::info,
                "link_ended",
                {{"link", event.link.short_name()},
                 {"name", event.name},
                 {"peer", event.peer},
                 {"cause", to_string(event.cause)},
                 {"detail", event.detail}});
}

void EventRecorder::carrier_barren(const LinkEvent& event) {
  std::lock_guard lock(mutex_);
  totals_.carriers_barren += 1;
  logger_.event(LogLevel::warn, "carrier_barren",
                {{"link", event.link.short_name()},
                 {"name", event.name},
                 {"peer", event.peer},
                 {"address", event.address},
                 {"detail", event.detail}});
}

void EventRecorder::link_refused(const LinkEvent& event, Duration retry_after) {
  std::lock_guard lock(mutex_);
  totals_.links_refused[event.cause] += 1;
  auto times =
      refusals_.admit(event.name + "\n" + std::string(to_string(event.cause)), read_boot_clock());
  if (!times) return;
  // A drain is somebody's will, and another server is looked for.
  bool meant = event.cause == Cause::draining;
  logger_.stranger(meant ? LogLevel::info : LogLevel::warn, "link_refused",
                   {{"link", event.link.short_name()},
                    {"name", event.name},
                    {"cause", to_string(event.cause)},
                    {"reason", event.detail},
                    {"retry_after_s", retry_after},
                    {"times", *times}});
}

void EventRecorder::link_draining(const LinkEvent& event) {
  logger_.event(LogLevel::info, "link_draining",
                {{"link", event.link.short_name()}, {"name", event.name}, {"peer", event.peer}});
}

// --- Targets ---------------------------------------------------------------------------------

void EventRecorder::note_target(std::string_view service, Cause result) {
  if (service == kByDestination) return;  // each connection has a target of its own
  auto found = targets_.find(service);
  if (found == targets_.end()) found = targets_.emplace(service, TargetResult{}).first;
  found->second = {result, read_boot_clock()};
}

void EventRecorder::target_checked(std::string_view service, Cause result) {
  // A connect's own cause says more than that the server finds the target down.
  std::lock_guard lock(mutex_);
  auto known = targets_.find(service);
  bool named = known != targets_.end() && known->second.cause != Cause::none;
  bool vague = result == Cause::other && named;
  note_target(service, vague ? known->second.cause : result);
}

// --- Strangers, dials, listeners ------------------------------------------------------------

void EventRecorder::carrier_rejected(const std::string& address, Cause cause,
                                     const std::string& reason) {
  std::lock_guard lock(mutex_);
  totals_.carriers_refused[cause] += 1;
  // Port scans and health checks come and go.
  bool nothing_said = cause == Cause::carrier_eof || cause == Cause::carrier_reset;
  if (nothing_said && !logger_.enabled(LogLevel::debug)) return;
  std::string line =
      address.substr(0, address.rfind(':')) + "\n" + std::string(to_string(cause)) + "\n" + reason;
  auto times = refusals_.admit(line, read_boot_clock());
  if (!times) return;
  bool meant = cause == Cause::draining;
  logger_.stranger(
      nothing_said ? LogLevel::debug
      : meant      ? LogLevel::info
                   : LogLevel::warn,
      "carrier_rejected",
      {{"address", address}, {"cause", to_string(cause)}, {"reason", reason}, {"times", *times}});
}

void EventRecorder::carrier_accepted() {
  std::lock_guard lock(mutex_);
  totals_.carriers_accepted += 1;
}

void EventRecorder::carrier_checked(const std::string& address, const std::string& reason) {
  std::lock_guard lock(mutex_);
  totals_.health_checks += 1;
  if (!logger_.enabled(LogLevel::debug)) return;
  logger_.stranger(LogLevel::debug, "health_check", {{"address", address}, {"reason", reason}});
}

void EventRecorder::dial_failed(const std::string& address, const std::string& reason) {
  std::lock_guard lock(mutex_);
  auto times = dials_.admit(address + "\n" + reason, read_boot_clock());
  if (!times) return;
  logger_.stranger(LogLevel::warn, "dial_failed",
                   {{"address", address}, {"reason", reason}, {"times", *times}});
}

void EventRecorder::draining(std::size_t connections) {
  logger_.event(LogLevel::info, "draining", {{"connections", connections}});
}

void EventRecorder::undrained() {
  logger_.event(LogLevel::info, "undrained", {});
}

// --- After a death ----------------------------------------------------------------------------

void EventRecorder::recovered(const RecoveryReport& report) {
  std::lock_guard lock(mutex_);
  totals_.recovery = report;
  logger_.event(LogLevel::warn, "recovered",
                {{"reason", report.reason},
                 {"links", report.links},
                 {"connections", report.connections},
                 {"adopted", report.adopted},
                 {"corrected", report.corrected},
                 {"lost", report.lost},
                 {"gap_ms", report.gap.count() / 1000}});
}

void EventRecorder::state_discarded(const std::string& reason) {
  logger_.event(LogLevel::error, "state_discarded",
                {{"reason", reason},
                 {"cause", to_string(Cause::state_lost)},
                 {"meaning", "connections of the process before this one are reset"}});
}

void EventRecorder::connection_lost(const LostConnection& lost) {
  std::lock_guard lock(mutex_);
  closed_[lost.service].closed[Cause::state_lost] += 1;
  logger_.event(LogLevel::warn, "connection_lost",
                {{"service", lost.service},
                 {"peer", lost.peer},
                 {"client", lost.client},
                 {"cause", to_string(Cause::state_lost)},
                 {"reason", lost.reason}});
}

void EventRecorder::listener_paused(const std::string& address, const std::string& reason) {
  std::lock_guard lock(mutex_);
  totals_.paused_descriptors += 1;
  logger_.stranger(LogLevel::warn, "listener_paused", {{"address", address}, {"reason", reason}});
}

void EventRecorder::listener_resumed(const std::string& address) {
  logger_.stranger(LogLevel::info, "listener_resumed", {{"address", address}});
}

void EventRecorder::listen_failed(const std::string& address, const std::string& reason) {
  logger_.event(LogLevel::warn, "listen_failed", {{"address", address}, {"reason", reason}});
}

void EventRecorder::listening(const std::string& address) {
  logger_.event(LogLevel::info, "listening", {{"address", address}});
}

void EventRecorder::warning(const std::string& text) {
  logger_.event(LogLevel::warn, "warning", {{"reason", text}});
}

void EventRecorder::trace(const LinkId& link, const std::vector<TraceEvent>& events) {
  if (trace_ != nullptr) trace_->write(link, events);
}

}  // namespace holdfast
