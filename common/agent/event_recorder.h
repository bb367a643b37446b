// EventRecorder: what the drivers tell, written to the log and counted. Each loop's may tell at any
// time; who reads it does so while the agent's other loops are paused.
//
// Counters are sums over everything since the start of the process; what is still open is added by
// whoever makes a snapshot (reporting.h).
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "common/admin/history.h"
#include "common/admin/recovery_report.h"
#include "common/admin/snapshot.h"
#include "common/agent/trace_file.h"
#include "common/core/link.h"
#include "common/io/timer.h"
#include "common/log/log.h"
#include "common/log/repeats.h"
#include "common/tunnel/observer.h"

namespace holdfast {

class EventRecorder final : public Observer {
 public:
  // `logger` outlives the recorder; `trace` may be null.
  EventRecorder(Logger& logger, TraceFile* trace) : logger_(logger), trace_(trace) {}

  // What is known of one link besides what it says itself.
  struct LinkTally {
    Time changed_at{};  // its last change of state
    std::optional<Time> down_since;
    std::map<Cause, std::uint64_t> reconnects;
  };
  const LinkTally* tally(const LinkId& link) const;
  // Ended connections, by service.
  const std::map<std::string, ServiceCounters, std::less<>>& closed() const { return closed_; }
  // Connections of the process before this one that live: what they did there is none of this one's
  // counts, which a snapshot sums up of those that live and those that have ended.
  void begin_from(const AgentSnapshot& living);
  void leave_out_before(AgentSnapshot& snapshot) const;
  // What the last connect to a service's target came to, and when; Cause::none: it stood.
  struct TargetResult {
    Cause cause = Cause::none;
    Time at{};
  };
  const std::map<std::string, TargetResult, std::less<>>& targets() const { return targets_; }
  // Outages that are not over count up to `now`.
  AgentTotals totals(Time now) const;
  // Is told of links and endings here; samples come from elsewhere (history_keeper.h).
  History& history() { return history_; }
  // Since when there is no link at all, or the start.
  Time idle_since() const { return idle_since_; }
  // How the last reload went.
  void reloaded(const std::string& fault);

  void link_up(const LinkEvent& event) override;
  void link_down(const LinkEvent& event) override;
  void link_resumed(const LinkEvent& event) override;
  void link_silent(const LinkEvent& event) override;
  void link_heard(const LinkEvent& event) override;
  void link_ended(const LinkEvent& event) override;
  void carrier_barren(const LinkEvent& event) override;
  void link_refused(const LinkEvent& event, Duration retry_after) override;
  void link_draining(const LinkEvent& event) override;
  void connection_open(const ConnectionInfo& connection) override;
  bool wants_connection_resumed() const override;
  void connection_resumed(const ConnectionInfo& connection) override;
  void connection_closed(const ConnectionInfo& connection) override;
  void connection_refused(const OpenRefusal& refusal) override;
  void target_checked(std::string_view service, Cause result) override;
  void loop_found(const std::string& services, Duration refused_for) override;
  void application_refused(const Refusal& refusal) override;
  void carrier_rejected(const std::string& address, Cause cause,
                        const std::string& reason) override;
  void carrier_accepted() override;
  void carrier_checked(const std::string& address, const std::string& reason) override;
  void dial_failed(const std::string& address, const std::string& reason) override;
  void listener_paused(const std::string& address, const std::string& reason) override;
  void listener_resumed(const std::string& address) override;
  void listen_failed(const std::string& address, const std::string& reason) override;
  void listening(const std::string& address) override;
  void warning(const std::string& text) override;
  // An operator's drain: so many connections are left.
  void draining(std::size_t connections);
  void undrained();
  // What this process found of the one before it.
  void recovered(const RecoveryReport& report);
  void state_discarded(const std::string& reason);
  void connection_lost(const LostConnection& connection) override;
  void trace(const LinkId& link, const std::vector<TraceEvent>& events) override;

 private:
  LinkTally& note_change(const LinkId& link);
  // Lanes of one link that are not heard at the same time are one outage of it, and a lane beside
  // the first one that carries nothing is none.
  struct GroupOutage {
    Time since{};
    std::set<LinkId> lanes;
  };
  LinkTally& note_outage(const LinkEvent& event);
  void outage_over(const LinkEvent& event);
  void count_closed(const ConnectionInfo& connection);
  void note_target(std::string_view service, Cause result);

  Logger& logger_;
  TraceFile* trace_;
  std::mutex mutex_;  // of what follows, against other loops' telling
  std::map<LinkId, LinkTally> tallies_;
  std::map<std::string, GroupOutage> outages_;  // that go on, by group_of()
  std::map<std::string, ServiceCounters, std::less<>> closed_;
  std::map<std::string, TargetResult, std::less<>> targets_;
  AgentTotals totals_;
  Time idle_since_ = read_boot_clock();
  Repeats dials_;     // that failed, by address and reason
  Repeats loops_;     // by their services
  Repeats refusals_;  // of links, and of carriers by host, cause and reason
  History history_{idle_since_};
  std::map<std::string, ServiceCounters, std::less<>> before_;
  std::uint64_t replayed_before_ = 0;
};

}  // namespace holdfast
