// ClientHost: a host of the world with a client agent on it, whose process comes and goes.
#pragma once

#include <memory>
#include <string>

#include "client-agent/client_driver.h"
#include "tests/sim/agent.h"
#include "tests/sim/kernel/address.h"

namespace holdfast::sim {

struct Conversation;

// The process: the agents' own ClientDriver.
class ClientAgent final : public Agent {
 public:
  ClientAgent(World& world, std::uint32_t client, const std::string& name, std::uint32_t host);
  ~ClientAgent() override;

  ClientDriver& driver() { return *driver_; }
  // Its first lane.
  ClientLink& link();
  std::vector<ClientLink*> lanes();
  const MemoryPool& pool();
  void check() override;

 private:
  Loop::Task& task() override { return *driver_; }

  std::unique_ptr<ClientDriver> driver_;
};

class ClientHost {
 public:
  ClientHost(World& world, std::uint32_t index, std::string name)
      : world_(world), index_(index), name_(std::move(name)) {}
  ~ClientHost() { kill(); }

  void start();
  void kill();
  void goodbye();  // SIGTERM: says so, and the process ends with the link
  void reconnect();
  void network_changed();
  void kill_stream(Conversation& conversation);

  bool running() const { return agent_ != nullptr; }
  ClientAgent* agent() { return agent_.get(); }
  const std::string& name() const { return name_; }
  std::uint32_t address() const { return 0x0a000100 + index_; }  // 10.0.1.0 and on
  // Where applications reach the service.
  Address listener(std::uint16_t service) const {
    return {address(), static_cast<std::uint16_t>(5000 + service)};
  }
  // Of a running one.
  const Link& link() { return agent_->link().link(); }
  bool has(const LinkId& link);
  std::size_t stream_count();
  // Its lanes' links; none while it does not run.
  std::vector<const Link*> links();
  // Of the lane that has the conversation's connection; null: none has.
  const Link* link_of(const Conversation& conversation);
  const MemoryPool& pool() { return agent_->pool(); }

 private:
  World& world_;
  std::uint32_t index_;
  std::string name_;
  std::unique_ptr<ClientAgent> agent_;
};

}  // namespace holdfast::sim
