// What the tests of admin and cli share: a made-up agent, its snapshot, and running subcommands.
#pragma once

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include "common/admin/admin_server.h"
#include "common/admin/loop_backend.h"
#include "common/cli/cli.h"
#include "tests/unit/folder.h"

namespace holdfast {

inline AgentSnapshot sample_snapshot() {
  AgentSnapshot snapshot;
  snapshot.kind = AgentKind::client;
  snapshot.name = "edge-1";
  snapshot.version = "0.1.0";
  snapshot.pid = 4711;
  snapshot.started_at_ms = 1767225600123;  // 2026-01-01T00:00:00.123Z
  snapshot.uptime = seconds(3725);
  snapshot.config_path = "/etc/holdfast/client.toml";
  snapshot.ready = true;
  snapshot.listening = {"127.0.0.1:5432"};
  snapshot.connections_by_state = {{ConnectionState::opening, 0},
                                   {ConnectionState::open, 2},
                                   {ConnectionState::closing, 1},
                                   {ConnectionState::detached, 0}};
  snapshot.connections_limit = 10000;
  snapshot.send_log_bytes = 1258291;
  snapshot.send_log_limit_bytes = 134217728;
  snapshot.services["web"] = {5, {{Cause::client_fin, 2}}, 1000, 2000};
  snapshot.totals.reconnects = {{Cause::carrier_silent, 2}};
  snapshot.totals.outage_total = milliseconds(34500);
  LinkSnapshot link;
  link.id = "3fa9c1d2000000000000000000000001";
  link.peer = "home";
  link.state = LinkState::live;
  link.in_state = seconds(192);
  link.carrier = "198.51.100.10:7443";
  link.rtt = microseconds(24100);
  link.connections = 3;
  link.reconnects = {{Cause::carrier_silent, 2}};
  link.resumes = 2;
  link.attempt = 3;
  snapshot.links.push_back(link);
  return snapshot;
}

inline ConnectionSnapshot sample_connection() {
  ConnectionSnapshot connection;
  connection.id = "3fa9c1d2-17";
  connection.link = "3fa9c1d2000000000000000000000001";
  connection.service = "web";
  connection.peer = "home";
  connection.client = "127.0.0.1:41234";
  connection.state = ConnectionState::open;
  connection.bytes_up = 8;
  connection.bytes_down = 1258291;
  connection.duration = seconds(61);
  connection.detached = milliseconds(1500);
  connection.resumes = 2;
  connection.replayed_bytes = 4096;
  connection.opened_at_ms = 1767225600000;
  return connection;
}

inline void lose_link(AgentSnapshot& snapshot) {
  snapshot.ready = false;
  LinkSnapshot& link = snapshot.links.front();
  link.state = LinkState::detached;
  link.in_state = seconds(12);
  link.rtt.reset();
  link.carrier.clear();
  link.detached_for = seconds(12);
  link.grace_remaining = seconds(288);
  link.last_error = "connection refused by 198.51.100.10:7443";
}

// Answers at once, on whichever thread asks.
class FakeAgent : public PagedBackend {
 public:
  Result<AgentSnapshot> snapshot(const SnapshotQuery& query) override {
    std::lock_guard lock(mutex_);
    if (!failure_.empty()) return Error{failure_};
    AgentSnapshot out = state_;
    if (query.connections) out.connections = connections_;
    return out;
  }
  ConnectionPage connections(const ConnectionCursor& from) override {
    std::lock_guard lock(mutex_);
    ConnectionPage page;
    page.connections.push_back(connections_.at(from.slot));
    if (from.slot + 1 < connections_.size()) page.next = ConnectionCursor{from.link, from.slot + 1};
    return page;
  }
  Result<std::optional<ConnectionSnapshot>> connection(const std::string& id) override {
    std::lock_guard lock(mutex_);
    if (!failure_.empty()) return Error{failure_};
    for (const ConnectionSnapshot& one : connections_) {
      if (one.id == id) return std::optional(one);
    }
    return std::optional<ConnectionSnapshot>();
  }
  CommandResult command(const Command& command) override {
    std::lock_guard lock(mutex_);
    commands_.push_back(command);
    if (command.kind != Command::Kind::kill) return {CommandResult::Outcome::done, "as you wish"};
    for (const ConnectionSnapshot& one : connections_) {
      if (one.id == command.id) return {CommandResult::Outcome::done, "killed " + command.id};
    }
    return {CommandResult::Outcome::failed, "no connection " + command.id};
  }

  ReloadReport reload(const ReloadRequest& request) override {
    std::lock_guard lock(mutex_);
    reloads_.push_back(request);
    return reload_report_;
  }

  void set_reload(ReloadReport report) {
    std::lock_guard lock(mutex_);
    reload_report_ = std::move(report);
  }
  std::vector<ReloadRequest> reloads() {
    std::lock_guard lock(mutex_);
    return reloads_;
  }
  void set(AgentSnapshot state) {
    std::lock_guard lock(mutex_);
    state_ = std::move(state);
  }
  void set_connections(std::vector<ConnectionSnapshot> connections) {
    std::lock_guard lock(mutex_);
    connections_ = std::move(connections);
  }
  void fail(std::string reason) {
    std::lock_guard lock(mutex_);
    failure_ = std::move(reason);
  }
  std::vector<Command> commands() {
    std::lock_guard lock(mutex_);
    return commands_;
  }

 private:
  std::mutex mutex_;
  AgentSnapshot state_ = sample_snapshot();
  std::vector<ConnectionSnapshot> connections_ = {sample_connection()};
  std::string failure_;
  std::vector<Command> commands_;
  std::vector<ReloadRequest> reloads_;
  ReloadReport reload_report_;
};

struct Ran {
  int code = 0;
  std::string out;
  std::string err;
};

inline Ran run_words(std::vector<std::string> words, Program program = {}) {
  words.insert(words.begin(), std::string(program_name(program.kind)));
  std::vector<const char*> argv;
  for (const std::string& word : words) argv.push_back(word.c_str());
  std::ostringstream out, err;
  int code = run_command_line(static_cast<int>(argv.size()), argv.data(), program, out, err, {});
  return {code, out.str(), err.str()};
}

}  // namespace holdfast
