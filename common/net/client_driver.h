// ClientDriver: a client agent's network: applications come in, its links go out.
//
//   running --drain()--> draining --last stream, or timeout--> leaving --links ended--> stopped
//      \------------------------------ shut_down() ---------------^
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/core/memory_pool.h"
#include "common/net/client_link.h"
#include "common/net/interception.h"
#include "common/net/listener_set.h"
#include "common/net/memory_trimmer.h"
#include "common/net/netlink.h"
#include "common/net/proxy_reception.h"

namespace holdfast {

struct ClientService {
  std::string name;
  std::string link;  // ClientLinkOptions::group
  NetListenAddress listen;
  // With another mode than explicit_address several services may share a listener: `match` tells
  // which of them a connection is for.
  ListenMode mode = ListenMode::explicit_address;
  std::vector<AddressPattern> match;
  // Applications come through a balancer, which must be there and say whose each connection is.
  std::optional<std::vector<Network>> proxy_from;
  bool mirror = false;  // listens only while the server does not say that the target is down
};

struct ClientOptions {
  std::vector<ClientLinkOptions> links;  // each with the services that name it
  std::vector<ClientService> services;
  std::uint64_t memory = 0;  // bytes
  std::uint32_t connections = 0;
  std::size_t descriptors = 1024;  // RLIMIT_NOFILE
  Duration shutdown_timeout = seconds(60);
};

class ClientDriver final : public Loop::Task, public ClientLink::Host, public Listener::Handler {
 public:
  ClientDriver(Loop& loop, ClientOptions options, Observer& observer);
  ~ClientDriver();

  // Binds the services' addresses. The error names the one that cannot be had.
  Status listen();
  // A reload: listens where it is asked to, and lets links come, change and go. Live connections
  // stay; those of a link or service that is gone end with `revoked` where `revoke` says so.
  // Memory, connections and descriptors stay as they were. With an error nothing was changed.
  Status reconfigure(ClientOptions options, bool revoke);

  // Goodbye, then stops the loop; within 2 s.
  void shut_down();
  // Accepts nothing more; shuts down when the last stream has ended, or at shutdown_timeout.
  void drain();
  // False: there is no such connection.
  bool kill(std::string_view connection);

  const std::vector<std::unique_ptr<ClientLink>>& links() const { return links_; }
  const MemoryPool& pool() const { return pool_; }
  std::vector<std::string> listening() const { return listeners_.names(); }
  bool draining() const { return state_ != State::running; }
  std::size_t stream_count() const;

 private:
  enum class State : std::uint8_t { running, draining, leaving, stopped };

  bool end_of_turn() override;
  void wake() override { wake_ = true; }
  void room() override { room_ = true; }
  void services_changed() override { mirror_ = wake_ = true; }
  void accepted(Listener& listener, Descriptor& socket, const SocketAddress& peer) override;

  // client_intake.cc
  struct Ends {
    Endpoint source;
    Endpoint destination;
  };
  // A socket that must tell whose it is before it becomes a stream.
  struct Reception {
    std::string service;
    Endpoint source;  // the balancer
    std::unique_ptr<ProxyReception> header;
    std::optional<ProxyReception::Outcome> outcome;  // with the socket, until there is room for it
  };
  void open(const ClientService& service, Descriptor& socket, const Ends& ends);
  void refuse(Descriptor& socket, const Refusal& refusal);
  void intercepted(Listener& listener, Descriptor& socket, const Endpoint& source);
  const ClientService* service_for(const Listener& listener, const Endpoint& destination) const;
  std::string loop_at(const Endpoint& destination) const;
  void announced(const ClientService& service, Descriptor& socket, const Endpoint& source);
  void settle_receptions();
  bool settle(Reception& reception);

  void add_link(ClientLinkOptions options);
  // By its own name; null: there is none, or it is leaving.
  ClientLink* find_link(std::string_view name);
  // The link of a group that a new connection goes to: one that is up, with the fewest; null: there
  // is none, or all are leaving.
  ClientLink* choose_link(std::string_view group);
  Status listen_on(const std::vector<ClientService>& services);
  bool is_down(const ClientService& service);
  void follow_targets();
  void advance_shutdown();

  Loop& loop_;
  Observer& observer_;
  Duration shutdown_timeout_;
  DescriptorBudget budget_;
  MemoryPool pool_;
  MemoryTrimmer trimmer_;
  Resolver resolver_;
  ClosingCarriers closing_;
  std::uint64_t next_carrier_ = 0;
  State state_ = State::running;
  bool wake_ = true;
  bool room_ = false;
  bool mirror_ = false;  // a target went down or came back
  std::vector<std::unique_ptr<ClientLink>> links_;
  std::vector<ClientService> services_;  // by their listeners' tags
  ListenerSet listeners_;
  std::vector<std::unique_ptr<Reception>> receptions_;
  NetworkWatcher network_;
  Timer deadline_;
  Timer mirror_retry_;
};

}  // namespace holdfast
