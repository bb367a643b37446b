// ServerHost: the world's server, whose process comes and goes.
#pragma once

#include <memory>
#include <string>

#include "server-agent/server_driver.h"
#include "tests/sim/agent.h"
#include "tests/sim/kernel/address.h"

namespace holdfast::sim {

struct Conversation;

// The process: the agents' own ServerDriver.
class ServerAgent final : public Agent {
 public:
  explicit ServerAgent(World& world);
  ~ServerAgent() override;

  ServerDriver& driver() { return *driver_; }
  void check() override;
  void reload();

 private:
  Loop::Task& task() override { return *driver_; }
  ServerOptions wanted();

  std::unique_ptr<ServerDriver> driver_;
};

class ServerHost {
 public:
  static constexpr std::uint32_t kAddress = 0x0a000001;  // 10.0.0.1
  static constexpr std::uint16_t kLinkPort = 7443;
  // Where service 0 is; the others follow.
  static constexpr std::uint32_t kServices = 0x0a090000;

  explicit ServerHost(World& world) : world_(world) {}
  ~ServerHost() { kill(); }

  void start();
  // Of the next process: as another server that answers at the same address.
  void rename(const std::string& name) {
    name_ = name;
    renamed_ = true;
  }
  const std::string& name() const { return name_; }
  bool renamed() const { return renamed_; }
  void kill();
  void goodbye();  // SIGTERM: every link says so
  void drain();
  void reload() {
    if (running()) agent_->reload();
  }
  void kill_stream(Conversation& conversation);

  bool running() const { return agent_ != nullptr; }
  // Or says goodbye.
  bool draining() const { return running() && agent_->driver().draining(); }
  // It was told to drain or to stop, whether or not its turn has come to do so.
  bool leaves() const { return leaves_; }
  ServerAgent* agent() { return agent_.get(); }

  std::size_t links();
  // visit(LinkDriver, MemoryPool)
  template <typename Visit>
  void for_each_link(Visit visit) {
    if (running()) agent_->driver().for_each_link(visit);
  }

 private:
  World& world_;
  std::string name_ = "home";
  bool renamed_ = false;
  std::unique_ptr<ServerAgent> agent_;
  bool leaves_ = false;
};

}  // namespace holdfast::sim
