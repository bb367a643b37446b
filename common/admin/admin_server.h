// AdminServer: what operators and monitoring ask a running agent, over HTTP.
//
//   Unix socket                      GET  /v1/status /v1/links /v1/ready /v1/connection?id=ID
//                                    GET  /v1/connections?service=&state=&client=&sort=&limit=
//                                    POST /v1/kill?id=ID /v1/reload?dry_run&revoke
//                                    POST /v1/drain /v1/drain_until_empty /v1/undrain
//                                    POST /v1/reconnect /v1/link_down /v1/link_up ?id=LINK
//                                    POST /v1/log-level?level=LEVEL
//   metrics address (TCP, optional)  GET  /metrics /livez /readyz /homez also on the Unix socket
//                                    GET  / /status /status.json         (status_page.h)
//
// It runs on threads of its own, which only ask the Backend. Users that say nothing, too much or
// too slowly are cut off (http_server.h): they cannot hold up an agent, nor its health answers
// (/metrics /livez /readyz /homez /v1/ready). No ranges; an answer has at most 64 MiB, at the
// metrics address 16 MiB.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/admin/reload.h"
#include "common/admin/snapshot.h"
#include "common/base/result.h"
#include "common/config/config.h"

namespace holdfast {

struct HttpRoute;

struct SnapshotQuery {
  bool connections = false;  // fill AgentSnapshot::connections
  // Fill AgentSnapshot::history, with samples after this uptime.
  std::optional<Duration> history_since = std::nullopt;
};

// Command::hand_over, in place of a program's path.
inline constexpr const char* kPark = "park";

struct Command {
  enum class Kind : std::uint8_t {
    kill,
    reconnect,
    drain,
    drain_until_empty,
    undrain,
    link_down,
    link_up,
    log_level,
    hand_over
  };
  Kind kind{};
  // kill: connection_name(); reconnect, link_down, link_up: a link's name, or empty where there is
  // but one. log_level: the level. hand_over: the program's path, or empty for the one that runs.
  std::string id;
};
std::string_view to_string(Command::Kind kind);

struct CommandResult {
  enum class Outcome : std::uint8_t {
    done,
    failed,       // no such connection, not possible here
    unavailable,  // the agent did not answer in time, or is stopping
  };
  Outcome outcome{};
  std::string message;  // one line, for people; both for what was done and for why not
};

// What the agent implements. Called on the admin server's threads, several at a time, unless it
// stands behind a LoopBackend (loop_backend.h).
class Backend {
 public:
  virtual ~Backend() = default;
  // The error is answered with 503.
  virtual Result<AgentSnapshot> snapshot(const SnapshotQuery& query) = 0;
  // One connection; nothing when there is none of this name.
  virtual Result<std::optional<ConnectionSnapshot>> connection(const std::string& id) = 0;
  virtual CommandResult command(const Command& command) = 0;
  // Loads the config file again and applies what changed.
  virtual ReloadReport reload(const ReloadRequest& request) = 0;
  // The admin server stops: calls that wait should return at once. Any thread.
  virtual void stopping() {}
};

// What can be asked at the Unix socket.
std::vector<HttpRoute> admin_routes(Backend& backend);

class AdminServer {
 public:
  // Binds the Unix socket and serves there. `backend` must outlive the server. A Unix socket left
  // by a dead agent is replaced, a live one's is an error that names it.
  static Result<std::unique_ptr<AdminServer>> start(const AdminConfig& config, Backend& backend);

  // Stops within some 100 ms, removes the Unix socket.
  virtual ~AdminServer() = default;

  // Who may use the Unix socket from now on. Nothing has changed after an error.
  virtual Status set_access(const AdminConfig& config) = 0;

  // Serves the metrics address, too: these sockets of it listen and do not block, and outlive the
  // server. Once; nothing has changed after an error.
  virtual Status serve_metrics(std::vector<int> listeners) = 0;
};

}  // namespace holdfast
