// ClientDriver: a client agent's network: applications come in, its links go out.
//
//   running --drain()--> draining --last stream, or timeout--> leaving --links ended--> stopped
//      \------------------------------ shut_down() ---------------^
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/core/memory_pool.h"
#include "common/net/client_link.h"
#include "common/net/listener_set.h"
#include "common/net/memory_trimmer.h"
#include "common/net/netlink.h"

namespace holdfast {

struct ClientService {
  std::string name;
  std::string link;  // ClientLinkOptions::name
  NetListenAddress listen;
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

  // By the name in the config; null: there is none, or it is leaving.
  ClientLink* find_link(std::string_view name);
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
  void accepted(Listener& listener, Descriptor& socket, const SocketAddress& peer) override;

  void add_link(ClientLinkOptions options);
  Status listen_on(const std::vector<ClientService>& services);
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
  std::vector<std::unique_ptr<ClientLink>> links_;
  std::vector<ClientService> services_;  // by their listeners' tags
  ListenerSet listeners_;
  NetworkWatcher network_;
  Timer deadline_;
};

}  // namespace holdfast
