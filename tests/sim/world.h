// World: one server, its clients, the paths between them and the oracle, under a virtual clock.
//
// The agents are the agents' own stack, from their drivers down to the system calls, which a
// simulated kernel answers (kernel/). Applications and services are the world's.
//
// run() plays the safety phase under faults, then heals (no faults, every application reads and
// closes) and requires that everything ends: streams at both ends, memory, links live again. It
// throws Failure at the first step that breaks a promise.
#pragma once

#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "tests/sim/client_host.h"
#include "tests/sim/conversation.h"
#include "tests/sim/kernel/connection.h"
#include "tests/sim/kernel/kernel.h"
#include "tests/sim/options.h"
#include "tests/sim/server_host.h"
#include "tests/sim/totals.h"
#include "tests/sim/watch.h"

namespace holdfast::sim {

class Encryption;

class World final : private Internet, private EventSink {
 public:
  // An encrypted world uses `encryption` if it is given one, else makes its own.
  explicit World(Options options, Encryption* encryption = nullptr);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // The whole run; throws Failure.
  void run();
  // Pieces of it, for named scenarios.
  void run_until(Time until);
  void heal();
  void finish();
  void apply(const Fault& fault);
  Conversation& converse(const ConversationScript& script);  // from script.start on

  Time now() const { return kernel_.now(); }
  Kernel& kernel() { return kernel_; }
  const Options& options() const { return options_; }
  Totals& totals() { return totals_; }
  Watch& watch() { return watch_; }
  ClientHost& client(std::uint32_t index) { return *clients_[index]; }
  ServerHost& server() { return *server_; }
  Path& path(std::uint32_t client) { return *paths_[client]; }
  std::vector<std::unique_ptr<Conversation>>& conversations() { return conversations_; }
  const std::vector<std::unique_ptr<Conversation>>& conversations() const { return conversations_; }
  bool all_ended() const;
  // Standing connections of the client to the server.
  std::vector<Connection*> carriers_of(std::uint32_t client);
  // Those of them that no other lane of the client's has, as far as the server knows.
  std::vector<Connection*> carriers_of(std::uint32_t client, const LinkId& lane);
  // The server has taken what somebody plays back for the lane's carrier.
  bool haunted(std::uint32_t client, const LinkId& lane);
  // As the agent of this side told last.
  bool is_up(int side, const LinkId& link);
  // All bytes of the world one after the other, with room to spare.
  Duration transfer_time() const;
  // More applications than there may be connections.
  bool limits_may_refuse() const {
    return conversations_.size() > least_streams_ || options_.descriptors < kPlentyOfDescriptors;
  }
  // What the server allows each client now.
  std::uint32_t server_streams() const { return server_streams_; }

  // --- What the agents are configured with ---
  LinkOptions link_options(LinkOptions::Role role) const;
  std::vector<LinkService> services() const;
  std::vector<HostPort> servers() const;
  static std::string name_of_client(std::uint32_t index) { return "edge-" + std::to_string(index); }
  // By its name or its address, as the world has it.
  HostPort target(std::uint32_t service) const;
  // Null: carriers are plain.
  std::unique_ptr<TlsContext> client_tls(const std::string& name);
  std::unique_ptr<TlsContext> server_tls();
  // As its link names it, while it has it.
  static std::optional<std::string> connection_of(const Conversation& conversation,
                                                  const Link& link, Time now);

  // --- Applications and services ---
  void look_at_application(Conversation& conversation, int side);
  void socket_closed(Conversation& conversation, int side);
  // Watch::look() then.
  void look_at(Time when, const Conversation& conversation, int side);

  // --- What the oracle is told ---
  void link_up(const Agent& agent, const LinkEvent& event, bool resumed);
  void link_down(const Agent& agent, const LinkEvent& event);
  void link_ended(const Agent& agent, const LinkEvent& event);
  void refused(const Agent& agent, Cause cause);
  void rejected(Cause cause, const std::string& reason);
  void stream_open(const Agent& agent, const ConnectionInfo& connection);
  void stream_ended(const Agent& agent, const ConnectionInfo& connection);
  void open_refused(const Agent& agent, std::string_view peer, Cause cause);
  // A process of the client begins: its links know nothing of what happened to those before.
  void new_link(std::uint32_t client);
  void lane_ended(std::uint32_t client, const LinkEvent& event);
  void process_ends(const Agent& agent);
  void server_starts();
  void count(const LinkCounters& counters) { totals_.replayed_bytes += counters.replayed_bytes; }
  void write_trace(const Agent& agent, const LinkId& link, const std::vector<TraceEvent>& events);
  // After each turn of an agent: what it said must have its reasons.
  void judge();

  void trace_to(std::FILE* file) { trace_ = file; }

  // Every carrier that comes up, in order: the nth is cut at its offset. For the sweep.
  struct PlannedCut {
    bool to_server = false;
    std::uint64_t offset = 0;
  };
  void plan_cuts(std::vector<PlannedCut> cuts) { planned_ = std::move(cuts); }
  // Bytes that the first carrier moved in each direction.
  std::uint64_t first_carrier_bytes(bool to_server) const {
    return first_bytes_[to_server ? 1 : 0];
  }

 private:
  enum class What : std::uint32_t {
    start_conversation,
    application,  // an application may write or read
    backend,      // a service's answer is due
    fault,
    restart_client,
    restart_server,
    stop_clone,
    end_ghost,
    shape_path,             // of a client: some fault of it is over
    descriptors_come_back,  // by side
    limit_server,
    name_servers_back,
    look,  // the watch's, at a side
    look_around,
  };
  struct OldHello {
    std::uint32_t client;
    std::vector<std::uint8_t> bytes;
  };
  struct LinkRecord {
    bool up = false;
    Time down_since = kNever;  // of one that was up
    Duration longest{};
    Duration longest_until(Time now) const;
  };
  struct Ended {
    Conversation* conversation;
    int side;
    Cause cause;
    Time at;
  };

  void schedule(Time at, What what, std::uint32_t index, std::uint64_t detail);
  void on_event(const Event& event) override;
  void connect(Socket& socket, const Address& to) override;
  void socket_gone(Socket& socket) override;
  void established(Connection& connection) override;
  void struck(Connection& connection) override;
  void swallowed(Connection& connection) override;
  void gone(Connection& connection) override;
  void reap();

  void start_conversation(Conversation& conversation);
  void application(Conversation& conversation, int side);
  void write_as_scripted(Conversation& conversation, int side, Time& next);
  void read_as_scripted(Conversation& conversation, int side, Time& next);
  void end_as_scripted(Conversation& conversation, Side& side);
  void connect_backend(Conversation& conversation, Socket& socket);
  void backend(Conversation& conversation);
  Conversation* conversation_at(std::uint32_t source) const;
  Conversation* conversation_of(const Endpoint& source) const;

  void replay_hello(std::uint32_t client, Duration life);
  void cut_all(std::uint32_t client, Connection::Cut how, bool client_sees, bool server_sees);
  void cut_after_bytes(std::uint32_t client, std::uint64_t bytes);
  void hold_all(std::uint32_t client, bool to_server, bool to_client, Time until);
  void kill_some_stream(int side);
  void restart_client(std::uint32_t client);
  void restart_server();
  void clone_client(std::uint32_t client, Duration length);
  void apply_process_fault(const Fault& fault);
  void apply_scarcity(const Fault& fault);
  void shape_path(std::uint32_t client);
  void publish_names();
  void take_descriptors(int side, std::uint32_t client, Duration length, std::uint64_t left);
  void harm_who_waits_outside(Time until);
  void give_descriptors_back(int side, std::uint32_t client);
  void limit_server(std::uint32_t streams);
  void end_scarcity();
  void note_harm(const Fault& fault);

  LinkRecord& record(int side, const LinkId& link) { return links_[{link, side}]; }
  bool explained(Conversation& conversation, int side, Cause cause);
  bool scarce(const Conversation& conversation) const;
  bool unresolved(const Conversation& conversation) const;
  bool outage_over_grace(const Conversation& conversation) const;
  bool quiet();
  bool links_are_the_clients();
  bool lanes_stand(std::uint32_t client);
  // A lane that comes and goes, and that its client has given up since it carried nothing.
  bool left_by_itself(std::uint32_t client, const LinkEvent& event);
  // The lane whose carrier it is, as far as the server knows; else nobody's.
  LinkId lane_of(const Connection& connection, std::uint32_t client);
  void check_quiet();
  Duration patience() const;
  // For every stream of the client that is not over yet.
  void excuse(std::uint32_t client, bool Excuses::*why);
  void excuse_all(bool Excuses::*why);

  Options options_;
  Kernel kernel_;
  bool healed_ = false;
  bool finished_ = false;
  std::vector<std::unique_ptr<Conversation>> conversations_;
  std::unique_ptr<Encryption> own_encryption_;
  Encryption* encryption_;
  std::vector<std::unique_ptr<Path>> paths_;         // by client
  std::map<std::uint64_t, std::uint32_t> carriers_;  // the client of each connection to the server
  std::unique_ptr<ServerHost> server_;
  std::vector<std::unique_ptr<ClientHost>> clients_;
  std::map<std::uint32_t, Socket*> connecting_;  // to services, by conversation
  std::vector<OldHello> hellos_;
  std::vector<PlannedCut> planned_;
  std::size_t planned_done_ = 0;
  std::uint64_t first_bytes_[2] = {0, 0};
  std::uint64_t first_carrier_ = 0;
  std::map<std::pair<LinkId, int>, LinkRecord> links_;
  std::vector<Ended> ended_;                   // not judged yet
  std::map<std::uint32_t, Duration> longest_;  // outage of each conversation, by index
  std::set<LinkId> over_grace_;                // that a server ended
  std::set<LinkId> over_;                      // at their clients
  // Links that were there when their client's first lane ended, and that have not.
  std::map<std::uint32_t, std::set<LinkId>> old_lanes_;
  std::vector<Excuses> standing_;  // of each client, for streams that it opens from now on
  Duration longest_server_stall_{};
  std::uint32_t server_streams_;
  std::uint32_t least_streams_;  // that any limit ever was
  Time names_known_from_{};      // what troubled name servers is over
  Time scarce_until_{};          // descriptors
  Time server_started_{};
  std::uint64_t server_links_ = 0;  // that ever came up
  Watch watch_;
  std::FILE* trace_ = nullptr;
  Totals totals_;
};

}  // namespace holdfast::sim
