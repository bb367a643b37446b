// ClientDriver: a client agent's network: applications come in, its links go out.
//
// It listens on its own loop, where it has links, too. With several threads the other loops' links
// are workers', and what comes in is handed to whoever has the fewest.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client-agent/client_lanes.h"
#include "client-agent/client_links.h"
#include "client-agent/client_worker.h"
#include "client-agent/interception.h"
#include "client-agent/loop_watch.h"
#include "common/agent/life_cycle.h"
#include "common/io/listener_set.h"
#include "common/tunnel/proxy_reception.h"
#include "common/tunnel/shared_streams.h"

namespace holdfast {

// One address of a service; one that listens at several is there once for each.
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
  bool freebind = false;  // as for bind_sockets()
  SocketAccess access;    // likewise
  bool mirror = false;    // listens only while the server does not say that the target is down
};

struct ClientOptions {
  std::map<std::string, FoundAddresses> names;  // of listen addresses (look_up_names)
  std::vector<ClientLinkOptions> links;  // each as its lane 0, with the services that name it
  std::vector<ClientService> services;
  LoopWatch* loops = nullptr;  // as all links have it; it stays as it was at a reload
  std::uint64_t memory = 0;    // bytes
  std::uint32_t connections = 0;
  unsigned threads = 1;            // loops; each has its part of memory and connections
  std::size_t descriptors = 1024;  // RLIMIT_NOFILE
  Duration shutdown_timeout = seconds(60);
  // What links and streams lie in.
  MakeRegionMemory make_state = make_plain_memory;
  // What a process before this one left, until listen() is over; null: nothing.
  Relics* relics = nullptr;
};

class ClientDriver final : public Loop::Task, public ClientLink::Owner, public Listener::Handler {
 public:
  ClientDriver(Loop& loop, ClientOptions options, Observer& observer);
  ~ClientDriver();

  // What was left is taken over, and that counts now: its sockets go on.
  RecoveryTally go_on();
  // Since listen(): connections that were accepted a moment before the death.
  std::uint64_t adopted() const { return adopted_; }
  // Binds the services' addresses, and sets the workers to work. What cannot be had is tried again
  // and told by listen_failures(); a service manager's socket that is not there is an error.
  Status listen();
  // The workers' loops stand still while it lives. Everything below is called so.
  LoopsPause pause_loops();

  // A reload: listens where it is asked to, and lets links come, change and go. Live connections
  // stay; those of a link or service that is gone end with `revoked` where `revoke` says so.
  // Memory, connections, threads and descriptors stay as they were. With an error, of an address
  // that is new and cannot be had, nothing was changed.
  Status reconfigure(ClientOptions options, bool revoke);

  // One more lane of a link of the config, up to LaneRange::most; new connections go to it once it
  // is up. False: there may be none now.
  bool open_lane(const std::string& group);
  // The lane of this name takes no new connections, and is gone with its last one.
  void retire_lane(const std::string& name);

  // Goodbye, then stops the loop; within 2 s.
  void shut_down();
  // Accepts nothing more; shuts down when the last stream has ended, or at shutdown_timeout where
  // `until` says so. Again: with another end.
  void drain(DrainUntil until = DrainUntil::timeout);
  // Accepts again. False: it is too late.
  bool undrain();
  // False: there is no such connection.
  bool kill(std::string_view connection);

  // visit(link, pool): all loops' links, with the memory that theirs share.
  template <typename Visit>
  void for_each_link(Visit visit) const {
    for (const auto& link : links_.all()) visit(*link, links_.pool());
    for (const auto& worker : workers_) {
      for (const auto& link : worker->links().all()) visit(*link, worker->links().pool());
    }
  }
  std::uint64_t memory() const;  // bytes, of all loops
  std::uint32_t max_streams() const;
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
  void services_changed() override { mirror_ = wake_ = true; }
  void lane_over(LaneOver over) override;
  void lanes_seen() override { lanes_seen_ = wake_ = true; }
  void lane_parts(LaneParting parting) override {
    parting_.push_back(std::move(parting));
    wake_ = true;
  }
  void accepted(Listener& listener, Descriptor& socket, const SocketAddress& peer) override;

  // client_intake.cc
  struct Ends {
    Endpoint source;
    Endpoint destination;
    std::uint64_t read_before = 0;  // of the socket
    bool is_unix = false;
  };
  // A socket that must tell whose it is before it becomes a stream.
  struct Reception {
    std::string service;
    Endpoint source;  // the balancer
    bool is_unix = false;
    std::unique_ptr<ProxyReception> header;
    std::optional<ProxyReception::Outcome> outcome;  // with the socket, until there is room for it
  };
  void open(const ClientService& service, Descriptor& socket, const Ends& ends);
  void place(ClientHandover& comer);
  void refuse(Descriptor& socket, const Refusal& refusal);
  bool comes_back(const ClientService& service, Listener& listener, Descriptor& socket,
                  const Endpoint& source);
  void intercepted(Listener& listener, Descriptor& socket, const Endpoint& source);
  const ClientService* service_for(const Listener& listener, const Endpoint& destination) const;
  std::string loop_at(const Endpoint& destination) const;
  void announced(const ClientService& service, Descriptor& socket, const Endpoint& source,
                 bool is_unix);
  void settle_receptions();
  bool settle(Reception& reception);

  ClientDriver(Loop& loop, ClientOptions& options, ClientLanes lanes, Observer& observer);
  ClientDriver(Loop& loop, ClientOptions& options, ClientLanes& lanes, LinkSpread spread,
               Observer& observer);
  // The first loop is 0, the workers' follow; nothing: no loop has a link of this name.
  std::optional<std::size_t> loop_of(const std::string& link) const;
  // The worker that a new connection of the group goes to; null: it is for a link here, or for
  // nobody now.
  ClientWorker* choose_worker(const std::string& group);
  void tell_room();
  void adopt_fresh();
  bool has_link_in(std::uint32_t slot) const;
  void remember(const std::map<std::string, FoundAddresses>& names);
  Status listen_on(const std::vector<ClientService>& services, MissingAddress missing);
  bool was_wanted(const ClientService& service) const;
  bool is_down(const ClientService& service);
  std::size_t stream_count() const;
  void follow_targets();
  // client_driver_lanes.cc
  void make_policies();
  void hear_workers();
  void replace_parting();
  void follow_lanes();
  std::optional<LinkLoad> least_load(const std::string& group, Candidates candidates);
  void order_lane(ClientLanes::Opened opened, Time until, ClientHandover* comer);
  bool make_lane_for(ClientHandover& comer);
  void advance_shutdown();

  Loop& loop_;
  Observer& observer_;
  Duration shutdown_timeout_;
  DescriptorBudget budget_;
  LifeCycle life_;
  bool wake_ = true;
  bool room_ = false;
  bool mirror_ = false;  // a target went down or came back
  bool lanes_seen_ = false;
  Wakeup news_;  // of the workers
  SharedStreams streams_;
  ClientLanes lanes_;
  std::map<std::string, LanePolicy, std::less<>> policies_;  // of links whose lanes vary
  ClientLinks links_;
  std::vector<std::unique_ptr<ClientWorker>> workers_;
  std::vector<LaneParting> parting_;     // lanes
  std::vector<ClientService> services_;  // by their listeners' tags
  ListenerSet listeners_;
  std::vector<std::unique_ptr<Reception>> receptions_;
  LoopWatch* loops_;
  Relics* relics_;
  std::uint64_t adopted_ = 0;
};

}  // namespace holdfast
