// Agent: a process of the world that runs what an agent's process runs: a Loop, and a driver on it.
// What it tells its observer goes to the oracle.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "common/core/memory_pool.h"
#include "common/io/loop.h"
#include "common/io/signals.h"
#include "common/tunnel/observer.h"
#include "tests/sim/kernel/process.h"

namespace holdfast::sim {

class World;

class Agent : public Process, public Observer {
 public:
  // side 0: a client's, whose index is `client`; 1: the server's.
  Agent(World& world, int side, std::uint32_t client, std::uint32_t host, std::size_t descriptors);

  int side() const { return side_; }
  std::uint32_t client() const { return client_; }
  // RLIMIT_NOFILE as an agent is told of it: the numbers of simulated descriptors begin high.
  std::size_t descriptors() const;
  bool over() const { return over_; }
  // Every invariant of every link and of the memory they share.
  virtual void check() = 0;

  // Throws Failure, like all of the oracle; no agent's code is on the stack.
  bool turn() override;
  // The first turn.
  void begin();
  // On its loop, in one of its next turns, as an operator's commands are.
  void command(std::function<void()> what);

 protected:
  virtual Loop::Task& task() = 0;
  void check_pool(const MemoryPool& pool, std::size_t links) const;
  World& world() const { return world_; }
  Loop& loop() { return *loop_; }
  // The derived one's last deed before its driver goes.
  void end_loop() {
    commanded_.reset();
    loop_.reset();
  }

 private:
  void link_up(const LinkEvent& event) override;
  void link_down(const LinkEvent& event) override;
  void link_resumed(const LinkEvent& event) override;
  void link_silent(const LinkEvent&) override {}
  void link_heard(const LinkEvent&) override {}
  void link_ended(const LinkEvent& event) override;
  void link_refused(const LinkEvent& event, Duration retry_after) override;
  void link_draining(const LinkEvent& event) override;
  void connection_open(const ConnectionInfo& connection) override;
  bool wants_connection_resumed() const override { return false; }
  void connection_resumed(const ConnectionInfo&) override {}
  void connection_closed(const ConnectionInfo& connection) override;
  void connection_refused(const OpenRefusal& refusal) override;
  void application_refused(const Refusal& refusal) override;
  void carrier_rejected(const std::string& address, Cause cause,
                        const std::string& reason) override;
  void dial_failed(const std::string&, const std::string&) override {}
  void carrier_barren(const LinkEvent&) override {}
  void listener_paused(const std::string&, const std::string&) override {}
  void listener_resumed(const std::string&) override {}
  void listen_failed(const std::string& address, const std::string& reason) override;
  void listening(const std::string&) override {}
  void warning(const std::string& text) override;
  void trace(const LinkId& link, const std::vector<TraceEvent>& events) override;

  World& world_;
  int side_;
  std::uint32_t client_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Wakeup> commanded_;
  std::vector<std::function<void()>> commands_;
  bool over_ = false;
  Time spun_at_{};
  int spins_ = 0;
};

}  // namespace holdfast::sim
