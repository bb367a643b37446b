// ServerDriver: a server agent's network: carriers come in, backends are connected. Many links.
//
//   running --drain()--> draining --last stream, or timeout--> leaving --links ended--> stopped
//      \------------------------------ shut_down() ---------------^
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/core/link_registry.h"
#include "common/core/memory_pool.h"
#include "common/net/link_driver.h"
#include "common/net/listener.h"
#include "common/net/memory_trimmer.h"
#include "common/net/newcomers.h"

namespace holdfast {

struct ServerTarget {
  Target target;
  std::string name;  // the address as configured, for people
};

struct ServerOptions {
  RegistryOptions registry;
  std::vector<NetAddress> listen;
  std::map<std::string, ClientPolicy> clients;   // by the identity that the transport proves
  std::map<std::string, ServerTarget> services;  // by name
  TransportFactory transport;
  // The transport proves who a client is. False (unsafe_plaintext): its HELLO is believed.
  bool authenticated = true;
  std::uint64_t memory = 0;  // bytes
  std::uint32_t connections = 0;
  std::size_t descriptors = 1024;  // RLIMIT_NOFILE
  Duration shutdown_timeout = seconds(60);
};

class ServerDriver final : public Loop::Task,
                           public LinkDriver::Host,
                           public Listener::Handler,
                           public Newcomers::Host {
 public:
  ServerDriver(Loop& loop, ServerOptions options, Observer& observer);
  ~ServerDriver();

  // Binds the link's addresses. The error names the one that cannot be had.
  Status listen();

  // Goodbye to every client, then stops the loop; within 2 s.
  void shut_down();
  // No new links and streams; shuts down when the last stream has ended, or at shutdown_timeout.
  void drain();
  // False: there is no such connection.
  bool kill(std::string_view connection);

  template <typename Visit>
  void for_each_link(Visit visit) const {
    for (const auto& [id, driver] : drivers_) visit(*driver);
  }
  const MemoryPool& pool() const { return pool_; }
  const std::vector<std::unique_ptr<Listener>>& listeners() const { return listeners_; }
  bool draining() const { return state_ != State::running; }

 private:
  enum class State : std::uint8_t { running, draining, leaving, stopped };

  bool end_of_turn() override;
  void wants_pump(LinkDriver& driver) override;
  std::unique_ptr<TargetConnect> connect_target(LinkDriver& driver, StreamHandle stream) override;
  void link_refused(Duration) override {}
  void link_draining() override {}
  void room_for_streams() override { room_ = true; }
  std::string_view target_of(const LinkDriver& driver, std::uint16_t service) const override;
  void accepted(Listener& listener, Descriptor& socket, const SocketAddress& peer) override;
  void hello(const Carrier& carrier, HelloRequest request) override;
  bool link_known_at(std::string_view source) const override;
  void newcomer_gone(CarrierId carrier) override;

  void refuse_stranger(CarrierId carrier, const std::string& reason);
  void decide(CarrierId carrier, LinkRegistry::Decision decision);
  void accept_link(CarrierId carrier, LinkRegistry::Accepted accepted);
  void poll_registry();
  bool pump_links();
  void remove_ended();
  void advance_shutdown();

  Loop& loop_;
  ServerOptions options_;
  Observer& observer_;
  DescriptorBudget budget_;
  MemoryPool pool_;
  MemoryTrimmer trimmer_;
  Resolver resolver_;
  ClosingCarriers closing_;
  std::uint64_t next_carrier_ = 0;
  State state_ = State::running;
  bool wake_ = true;
  bool room_ = false;
  LinkRegistry registry_;
  std::map<LinkId, std::unique_ptr<LinkDriver>> drivers_;  // before the registry's links go
  std::map<LinkId, std::string> sources_;  // where each link's newest carrier came from
  std::vector<LinkId> dirty_;
  Newcomers newcomers_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  Timer registry_timer_;
  Timer deadline_;
};

}  // namespace holdfast
