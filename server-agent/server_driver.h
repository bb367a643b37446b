// ServerDriver: a server agent's network: carriers come in, backends are connected. Many links.
//
// The first loop's listens and greets. With several threads there is one for each other loop, a
// worker, which gets its carriers from the first when it is known whose they are.
//
//   running --drain()--> draining --last stream, or timeout--> leaving --links ended--> stopped
//      \------------------------------ shut_down() ---------------^
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/core/link_registry.h"
#include "common/core/memory_pool.h"
#include "common/io/listener_set.h"
#include "common/io/loop_thread.h"
#include "common/io/mailbox.h"
#include "common/tls/tls.h"
#include "common/tunnel/link_driver.h"
#include "common/tunnel/memory_trimmer.h"
#include "server-agent/newcomers.h"
#include "server-agent/placement.h"
#include "server-agent/stream_policy.h"
#include "server-agent/target_watch.h"

namespace holdfast {

struct ServerTarget {
  Target target;
  std::string name;  // the address as configured, for people
  std::optional<ProxyVersion> send_proxy;
  bool from_source = false;                // connected to from the application's address
  std::optional<Duration> check_interval;  // its target is watched, and clients are told
  Patience patience{};                     // with connections to it
};

struct ServerClient {
  ClientPolicy policy;
  StreamGrants grants;
  bool from_source = false;  // where a stream's destination decides, as in ServerTarget
  std::string key_id;        // of its pre-shared key; empty without one
  std::optional<std::int64_t> expires_s{};  // since the epoch; it is not let in from then on
};

struct ServerOptions {
  RegistryOptions registry;
  std::vector<NetListenAddress> listen;
  bool freebind = false;                         // as for bind_sockets()
  bool mptcp = false;                            // likewise
  std::map<std::string, FoundAddresses> names;   // of listen addresses (look_up_names)
  std::map<std::string, ServerClient> clients;   // by the identity that the transport proves
  std::map<std::string, ServerTarget> services;  // by name
  std::unique_ptr<TlsContext> tls;  // null (unsafe_plaintext): a client's HELLO is believed
  std::string congestion_control;   // of carriers; empty: the host's
  std::uint64_t memory = 0;         // bytes
  std::uint32_t connections = 0;
  unsigned threads = 1;            // loops; each has its part of memory and connections
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

  // Binds the link's addresses, and sets the workers to work. What cannot be had is tried again
  // and told by listen_failures(); a service manager's socket that is not there is an error.
  Status listen();
  // The workers' loops stand still while it lives. Everything below is called so.
  Rest rest();

  // A reload: listens where it is asked to; new links and connections get what is configured now.
  // Live ones stay, also of clients and services that are gone, but those clients are not let in
  // again. With `revoke` they end (`revoked`), and a client whose key changed must prove itself
  // anew. The server's name, memory, connections, threads and descriptors stay as they were. With
  // an error, of an address that is new and cannot be had, nothing was changed.
  Status reconfigure(ServerOptions options, bool revoke);

  // Goodbye to every client, then stops the loop; within 2 s.
  void shut_down();
  // No new links and streams; shuts down when the last stream has ended, or at shutdown_timeout.
  void drain();
  // False: there is no such connection.
  bool kill(std::string_view connection);

  // visit(link, pool): all loops' links, with the memory that theirs share.
  template <typename Visit>
  void for_each_link(Visit visit) const {
    for (const auto& [id, driver] : drivers_) visit(*driver, pool_);
    for (const ServerDriver* worker : worker_drivers()) worker->for_each_link(visit);
  }
  // Of the client's pre-shared key; empty without one, nothing where the client is not known.
  std::optional<std::string> key_of(const std::string& client) const {
    auto known = options_.clients.find(client);
    if (known == options_.clients.end()) return std::nullopt;
    return known->second.key_id;
  }
  std::uint64_t memory() const;  // bytes, of all loops
  std::uint32_t max_streams() const;
  // Of the workers' loops.
  TurnHistogram turns() const;
  std::vector<std::string> listening() const { return listeners_.names(); }
  std::vector<ListenFailure> listen_failures() const { return listeners_.failures(); }
  bool draining() const { return state_ != State::running; }

 private:
  enum class State : std::uint8_t { running, draining, leaving, stopped };

  // server_workers.cc
  struct Greeted {
    Carrier::Detached carrier;
    HelloRequest request;
    std::string client;
    ServerCommons::Place place;
  };
  struct Worker;
  std::vector<const ServerDriver*> worker_drivers() const;
  // `commons`: the first loop's; null for the first loop itself.
  ServerDriver(Loop& loop, ServerOptions options, Observer& observer, ServerCommons* commons,
               std::size_t index);
  static ServerOptions worker_options(const ServerOptions& all);
  void hand_over(CarrierId carrier, HelloRequest request, std::string client,
                 ServerCommons::Place place);
  void arrived(Greeted greeted);
  bool workers_ended() const;
  void greeted(CarrierId carrier, const std::string& client, HelloRequest request);

  bool end_of_turn() override;
  void wants_pump(LinkDriver& driver) override;
  TargetStart connect_target(LinkDriver& driver, StreamHandle stream) override;
  TargetStart connect_destination(LinkDriver& driver, StreamHandle stream,
                                  const StreamSummary& summary, const ServerClient& client);
  std::unique_ptr<TargetConnect> begin_connect(LinkDriver& driver, StreamHandle stream,
                                               const Target& target, Approach approach,
                                               const std::string& service);
  void note_result(const std::string& service, const Target& target, Cause result);
  bool is_own_listener(const Endpoint& destination) const;
  bool is_own_listener(const Target& target) const;
  void watch_targets();
  void tell_down(Link& link) const;
  void link_refused(Cause, Duration) override {}
  void carrier_barren(const SocketAddress&) override {}
  void services_down(const std::vector<std::uint16_t>&) override {}
  void room_for_streams() override { room_ = true; }
  Patience patience(std::string_view service) const override;
  std::string why_unknown(std::string_view service) const override;
  void accepted(Listener& listener, Descriptor& socket, const SocketAddress& peer) override;
  void hello(const Carrier& carrier, HelloRequest request) override;
  bool link_known_at(std::string_view source) const override;
  void newcomer_gone(CarrierId carrier) override;

  void remember(const std::map<std::string, FoundAddresses>& names);
  Status listen_on(const ServerOptions& options, bool new_ones_required);
  void revoke(const std::map<std::string, ServerClient>& before);
  void revoke_destinations(Link& link, const StreamGrants& grants);
  void refuse_stranger(CarrierId carrier, const std::string& reason);
  void decide(CarrierId carrier, LinkRegistry::Decision decision);
  void accept_link(CarrierId carrier, LinkRegistry::Accepted accepted);
  void poll_registry();
  bool pump_links();
  void note_state(LinkDriver& driver);
  void remove_ended();
  void advance_shutdown();

  Loop& loop_;
  std::size_t index_;  // the loop's
  ServerOptions options_;
  Observer& observer_;
  std::unique_ptr<ServerCommons> own_commons_;  // the first loop's
  ServerCommons& commons_;
  DescriptorBudget budget_;       // of targets
  DescriptorBudget link_budget_;  // of the link's listeners: the reserve is theirs
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
  // Of carriers that greeted and are not decided about, and of links.
  std::map<CarrierId, ServerCommons::Place> deciding_;
  std::map<LinkId, ServerCommons::Place> places_;
  std::vector<LinkId> dirty_;   // to pump in this turn's end
  std::vector<LinkId> pumped_;  // of them, those it has come to; it keeps its memory
  std::set<LinkId> ending_;     // ended, and not settled yet
  std::set<LinkId> awaited_;    // without a carrier: counted in commons_
  std::map<std::string, std::unique_ptr<TargetWatch>> watches_;  // by service
  bool watched_ = false;                                         // what a watch says has changed
  Newcomers newcomers_;
  TransportFactory transport_;          // of options_.tls
  std::set<std::string> target_names_;  // every target that was connected to, for people
  ListenerSet listeners_;
  Timer registry_timer_;
  Timer deadline_;
  Wakeup news_;                                          // a worker has ended
  Mailbox<std::pair<std::string, std::uint64_t>> gone_;  // processes, found by another loop
  std::vector<std::unique_ptr<Worker>> workers_;
};

struct ServerDriver::Worker {
  Worker(ServerOptions options, Observer& observer, ServerCommons& commons, std::size_t index)
      : driver(thread.loop(), std::move(options), observer, &commons, index),
        mailbox(thread.loop(), [this](Greeted greeted) { driver.arrived(std::move(greeted)); }) {}
  // What is on the loop goes before it, and not while it turns.
  ~Worker() { thread.stop(); }

  LoopThread thread;
  ServerDriver driver;
  Mailbox<Greeted> mailbox;
};

}  // namespace holdfast
