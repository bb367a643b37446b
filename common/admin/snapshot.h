// What an agent says of itself, as plain values: the loop fills them in on request, and the admin
// socket, the metrics and the tables are made of them on other threads.
//
// Counters count from the start of the process and never fall, also when links come and go.
// "Up" is from the application to the target, "down" is back, at both ends alike. A text is empty
// and an optional absent where nothing is known.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/admin/history.h"
#include "common/admin/recovery_report.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/base/turn_histogram.h"
#include "common/core/summary.h"
#include "common/wire/cause.h"

namespace holdfast {

enum class AgentKind : std::uint8_t { client, server };
std::string_view to_string(AgentKind kind);
// "holdfast-client", "holdfast-server".
std::string_view program_name(AgentKind kind);

enum class LinkState : std::uint8_t {
  waiting,   // client: no carrier yet, or refused for now; no stream waits for the grace
  greeting,  // a carrier stands, the handshake is under way
  live,
  silent,    // its carrier stands, but a question through it is overdue
  detached,  // no carrier; the grace runs where there are connections
  leaving,   // goodbye is being said
  ended,
};
std::string_view to_string(LinkState state);
std::optional<LinkState> link_state_from(std::string_view text);

enum class ConnectionState : std::uint8_t {
  opening,  // accepted; the target is not connected yet
  open,
  closing,   // at least one end is closed
  detached,  // its link has no carrier
};
inline constexpr ConnectionState kConnectionStates[] = {
    ConnectionState::opening, ConnectionState::open, ConnectionState::closing,
    ConnectionState::detached};
std::string_view to_string(ConnectionState state);
std::optional<ConnectionState> connection_state_from(std::string_view text);

struct LinkSnapshot {
  std::string name;  // client: in the config; empty at a server
  std::string id;    // LinkId::to_string(): 32 digits
  std::string peer;  // at a client the server's name, at a server the client's
  LinkState state{};
  Duration in_state{};                    // for how long it has been in it
  std::string carrier;                    // remote address of the carrier in use
  std::string balancer;                   // through which it comes, where that is known
  std::string home;                       // by which the server is found again behind it
  std::optional<std::uint64_t> subflows;  // paths that it uses at once; nothing for plain TCP
  std::optional<Duration> rtt;
  std::uint64_t connections = 0;
  std::uint64_t opening = 0;                // of them: not open yet, and so not what a grace keeps
  std::optional<Duration> silent_for;       // while silent: since the peer was heard last
  std::optional<Duration> detached_for;     // while there is no carrier: likewise
  std::optional<Duration> grace_remaining;  // while the grace runs
  std::map<Cause, std::uint64_t> reconnects;  // carriers lost, by reason
  std::uint64_t resumes = 0;
  Duration outage_total{};  // ended outages
  std::uint64_t replayed_bytes = 0;
  std::uint64_t bytes_up = 0;  // of applications, since the link began
  std::uint64_t bytes_down = 0;
  std::uint64_t send_log_bytes = 0;
  std::uint64_t send_log_limit_bytes = 0;
  std::uint64_t attempt = 0;
  std::uint64_t dials = 0;  // client: connects tried
  // Carriers in a row that were established and delivered nothing; 0 once something was answered.
  std::uint64_t barren = 0;
  bool held_down = false;  // client: by an operator
  bool retiring = false;   // client: it takes no new connections, and goes with its last one
  std::string last_error;  // why the last dial or carrier failed, for people
};

// How one end of a connection has closed, if it has.
enum class EndState : std::uint8_t { open, finished, reset };
std::string_view to_string(EndState state);
std::optional<EndState> end_state_from(std::string_view text);

struct ConnectionSnapshot {
  std::string id;    // connection_name(): the same at both ends
  std::string link;  // LinkId::to_string()
  std::string service;
  std::string peer;         // the other agent's name, as in LinkSnapshot
  std::string client;       // the application's address, as the client agent saw it
  std::string destination;  // where it meant to go; empty unless that was told (PROTOCOL.md, OPEN)
  std::string target;       // server: the backend's address
  ConnectionState state{};
  EndState client_end{};
  EndState target_end{};
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
  std::uint64_t unacked_bytes = 0;  // read here, not yet written to the far socket
  std::uint64_t queued_bytes = 0;   // received here, not yet taken by the near socket
  std::uint64_t window_bytes = 0;
  Pause pause{};  // why the near socket is not read now
  Duration duration{};
  Duration idle{};      // since bytes last passed here, either way
  Duration detached{};  // summed
  std::uint64_t resumes = 0;
  std::uint64_t replayed_bytes = 0;
  std::int64_t opened_at_ms = 0;               // since the epoch (CLOCK_REALTIME)
  Duration keepalive{};                        // without a sign for so long the near host is gone
  std::optional<Duration> idle_timeout;        // ends it
  std::optional<Duration> half_close_timeout;  // likewise
  Duration grace{};                            // how long it outlives its link's carrier
  std::optional<Duration> grace_remaining;     // while that runs
};

struct ServiceCounters {
  std::uint64_t opened = 0;
  std::map<Cause, std::uint64_t> closed;
  std::uint64_t bytes_up = 0;  // live: connections that are still open are counted
  std::uint64_t bytes_down = 0;
  // client: where an application of its host connects, as the config writes it; empty where it
  // cannot simply do so (join_address() in connect.h).
  std::string listen{};
  // client: whether the server grants it, as it told last; nothing: it did not yet.
  std::optional<bool> granted{};
  // What the last connect to its target came to, of an application's or a check; Cause::none: it
  // stood. Nothing: there was none.
  std::optional<Cause> target{};
  std::optional<Duration> target_age{};
};

// A new connection would come to nothing, by all that is known; why, for people. Else empty.
std::string service_fault(const ServiceCounters& service);
// The whole of it in a few words: "granted, its target answered 3s ago".
std::string service_health(const ServiceCounters& service);

// Sums over everything since the start of the process.
struct AgentTotals {
  std::uint64_t replayed_bytes = 0;
  std::uint64_t connections_resumed = 0;
  std::map<Cause, std::uint64_t> reconnects;
  std::uint64_t carriers_barren = 0;  // established, and nothing was delivered
  Duration outage_total{};
  std::uint64_t paused_credit = 0;  // times that reading was paused for want of the peer's credit
  std::uint64_t paused_memory = 0;
  std::uint64_t paused_descriptors = 0;             // times that accepting was paused
  std::map<Cause, std::uint64_t> carriers_refused;  // server: strangers, wrong keys, junk
  std::uint64_t carriers_accepted = 0;              // server: sockets
  std::uint64_t health_checks = 0;                  // server: of balancers, and scans
  std::map<Cause, std::uint64_t> links_refused;     // client: what the server said no with
  std::uint64_t log_lines_dropped = 0;
  bool reload_success = true;  // the last load of the config, the first one included
  std::string reload_error;    // why it was refused; empty after a good one
  std::uint64_t reloads = 0;
  std::uint64_t reloads_failed = 0;
  RecoveryReport recovery;
};

// An address that is to be listened on and cannot be had now.
struct NotListening {
  std::string address;
  std::string reason;  // for people
};

struct AgentSnapshot {
  AgentKind kind{};
  std::string name;
  std::string version;
  std::int64_t pid = 0;
  std::int64_t keeper_pid = 0;     // of the process that was started; 0: none keeps this one
  std::string program;             // path of what the keeper executes
  std::string state_format;        // of what a program must read to go on with the connections
  std::string start_reason;        // of common/keeper/page.h
  std::int64_t started_at_ms = 0;  // since the epoch
  Duration uptime{};
  std::string config_path;
  bool ready = false;  // client: its links are live and deliver; server: it listens
  std::string reason;  // why it is not ready, for people
  bool draining = false;
  bool home = true;                    // links that it has may be resumed; not stored, not printed
  std::vector<std::string> listening;  // addresses
  std::vector<NotListening> not_listening;
  // When each certificate of the config's files ends, in seconds since the epoch, by key.
  std::map<std::string, std::int64_t> certificates;
  std::vector<std::string> peers;  // server: configured clients, also those without a link
  std::vector<LinkSnapshot> links;
  std::map<ConnectionState, std::uint64_t> connections_by_state;
  std::uint64_t connections_limit = 0;
  std::uint64_t send_log_bytes = 0;  // of all links
  std::uint64_t send_log_limit_bytes = 0;
  std::map<std::string, ServiceCounters> services;  // every configured one, from the start
  AgentTotals totals;
  std::string log_level;
  TurnHistogram turns;        // of the loop
  Duration longest_answer{};  // CPU time that one question of the admin server took the loop
  // Only when asked for: there may be thousands.
  std::optional<std::vector<ConnectionSnapshot>> connections;
  std::optional<HistoryView> history;
};

std::uint64_t connection_count(const AgentSnapshot& snapshot);

// The connections of links without a carrier, and how long the first of those links still waits.
struct SafeConnections {
  std::uint64_t count = 0;
  std::optional<Duration> remaining;
};
SafeConnections safe_connections(const AgentSnapshot& snapshot);

// One word for programs: "ready", "draining", "link_down" (a client's only, and what it has is safe
// or nothing is open), "not_listening".
std::string_view readiness(const AgentSnapshot& snapshot);

// "link down for 12s: 3 connections are safe for 4m48s more"; the snapshot's own reason where it
// has one is put before it. Empty when it is ready.
std::string not_ready_reason(const AgentSnapshot& snapshot);

}  // namespace holdfast
