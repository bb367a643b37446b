// ServerDriver: a server agent's network: carriers come in, targets are connected. Many links.
//
// The first loop's listens and greets, and has links, too. With several threads the other loops'
// links are workers'; each carrier goes to its client's loop once it is known whose it is.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/agent/life_cycle.h"
#include "common/io/listener_set.h"
#include "common/io/loop_thread.h"
#include "common/tunnel/proxy_reception.h"
#include "server-agent/newcomers.h"
#include "server-agent/options.h"
#include "server-agent/placement.h"
#include "server-agent/server_links.h"
#include "server-agent/server_worker.h"

namespace holdfast {

class ServerDriver final : public Loop::Task,
                           private ServerLinks::Owner,
                           private Listener::Handler,
                           private Newcomers::Owner {
 public:
  ServerDriver(Loop& loop, ServerOptions options, Observer& observer);
  ~ServerDriver();

  // What was left is taken over, and that counts now: its sockets go on.
  RecoveryTally go_on();
  std::uint64_t adopted() const { return 0; }
  // Binds the link's addresses, and sets the workers to work. What cannot be had is tried again
  // and told by listen_failures(); a service manager's socket that is not there is an error.
  Status listen();
  // The workers' loops stand still while it lives. Everything below is called so.
  LoopsPause pause_loops();

  // A reload: listens where it is asked to; new links and connections get what is configured now.
  // Live ones stay, also of clients and services that are gone, but those clients are not let in
  // again. With `revoke` they end (`revoked`), and a client whose key changed must prove itself
  // anew. The server's name, memory, connections, threads and descriptors stay as they were. With
  // an error, of an address that is new and cannot be had, nothing was changed.
  Status reconfigure(ServerOptions options, bool revoke);

  // Goodbye to every client, then stops the loop; within 2 s.
  void shut_down();
  // No new links and streams; shuts down when the last stream has ended, or at shutdown_timeout
  // where `until` says so. Again: with another end.
  void drain(DrainUntil until = DrainUntil::timeout);
  // Takes new links again; links that were told end when they are empty. False: it is too late.
  bool undrain();
  // False: there is no such connection.
  bool kill(std::string_view connection);

  // visit(link, pool): all loops' links, with the memory that theirs share.
  template <typename Visit>
  void for_each_link(Visit visit) const {
    links_.for_each_link(visit);
    for (const auto& worker : workers_) worker->links().for_each_link(visit);
  }
  // Of the client's pre-shared key; empty without one, nothing where the client is not known.
  std::optional<std::string> key_of(const std::string& client) const;
  std::uint64_t memory() const;  // bytes, of all loops
  std::uint32_t max_streams() const { return links_.pool().max_streams(); }
  // Of the workers' loops.
  TurnHistogram turns() const;
  std::vector<std::string> listening() const { return listeners_.names(); }
  std::vector<ListenFailure> listen_failures() const { return listeners_.failures(); }
  bool draining() const { return life_.draining(); }
  bool home() const { return life_.home(); }

 private:
  bool end_of_turn() override;
  void wake() override { wake_ = true; }
  void room() override { room_ = true; }
  // server_intake.cc
  struct Reception {
    SocketAddress balancer;
    std::unique_ptr<ProxyReception> header;
    std::optional<ProxyReception::Outcome> outcome;
  };
  void accepted(Listener& listener, Descriptor& socket, const SocketAddress& peer) override;
  void admit(Descriptor socket, const std::optional<Through>& through);
  void announced(Descriptor& socket, const SocketAddress& peer);
  void settle_receptions();
  bool settle(Reception& reception);
  void hello(const Carrier& carrier, HelloRequest request) override;
  bool link_known_at(std::string_view source) const override;
  void newcomer_gone(CarrierId) override { wake_ = true; }

  void recover(Relics& relics);
  void remember(const std::map<std::string, FoundAddresses>& names);
  Status listen_on(const ServerOptions& options, MissingAddress missing);
  // Why the client is not let in, for people; empty: it is.
  std::string objection(const std::string& client, const HelloRequest& request) const;
  void refuse(CarrierId carrier, const std::string& reason);
  bool workers_ended() const;
  void advance_shutdown();

  Loop& loop_;
  ServerOptions options_;
  Observer& observer_;
  Placement placement_;
  DescriptorBudget link_budget_;  // of the link's listeners: the reserve is theirs
  LifeCycle life_;
  Timer on_their_way_;  // streams that were opened before their client heard of a drain
  bool wake_ = true;
  bool room_ = false;
  Wakeup news_;  // of the workers
  ServerLinks links_;
  std::vector<std::unique_ptr<ServerWorker>> workers_;
  ClosingCarriers closing_;  // of newcomers
  Newcomers newcomers_;
  std::vector<std::unique_ptr<Reception>> receptions_;
  std::uint64_t next_carrier_ = 0;
  TransportFactory transport_;  // of options_.tls
  ListenerSet listeners_;
};

}  // namespace holdfast
