// World: one server, its clients, the medium between them and the oracle, under a virtual clock.
//
// run() plays the safety phase under faults, then heals (no faults, every application reads and
// closes) and requires that everything ends: streams at both ends, memory, links live again. It
// throws Failure at the first step that breaks a promise.
#pragma once

#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "tests/sim/conversation.h"
#include "tests/sim/events.h"
#include "tests/sim/hosts.h"
#include "tests/sim/medium.h"
#include "tests/sim/options.h"
#include "tests/sim/tls_end.h"

namespace holdfast::sim {

class Encryption;

// What many runs add up to.
struct Totals {
  std::uint64_t runs = 0;
  std::uint64_t steps = 0;
  std::uint64_t streams = 0;
  std::uint64_t untouched = 0;  // streams that nothing excused and that carried everything
  std::uint64_t bytes = 0;
  std::uint64_t cuts = 0;
  std::uint64_t dials = 0;
  std::uint64_t resumes = 0;
  std::uint64_t replayed_bytes = 0;
  std::uint64_t refusals = 0;
  std::uint64_t unknown = 0;
  std::uint64_t stale = 0;
  // Of encrypted worlds.
  std::uint64_t handshakes = 0;       // done, at the client
  std::uint64_t handshakes_lost = 0;  // by a cut, at either end
  std::uint64_t ciphertext = 0;       // bytes
  std::uint64_t faults[kFaultKinds] = {};
  static constexpr int kCauses = 40;
  std::uint64_t resets[kCauses] = {};  // sockets reset, by cause
  std::uint64_t carrier_ends[kCauses] = {};
  std::uint64_t virtual_seconds = 0;

  void add(const Totals& other);
  std::string describe() const;
};

class World {
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

  Time now() const { return now_; }
  Random& random() { return random_; }
  const Options& options() const { return options_; }
  Totals& totals() { return totals_; }
  ClientHost& client(std::uint32_t index) { return *clients_[index]; }
  ServerHost& server() { return *server_; }
  std::vector<std::unique_ptr<Conversation>>& conversations() { return conversations_; }
  bool all_ended() const;

  // --- For the hosts ---
  struct DialOutcome {
    bool connects = false;
    Duration after{};
  };
  void schedule(Time at, EventKind kind, std::uint32_t index, std::uint64_t detail) {
    events_.push(at, kind, index, detail);
  }
  std::uint64_t next_number() { return ++numbers_; }
  std::vector<LinkService> services() const;
  static std::string name_of_client(std::uint32_t index) { return "edge-" + std::to_string(index); }
  const std::string& client_name(std::uint32_t index) const { return clients_[index]->name(); }
  DialOutcome dial(std::uint32_t client);
  CarrierId connect(std::uint32_t client);  // 0: the server is not there
  Carrier* carrier(CarrierId id);
  std::vector<CarrierId> carriers_of(std::uint32_t client) const;
  std::vector<CarrierId> all_carriers() const;
  // What a host does with its end of a carrier, encrypted or not.
  Handshake shake_hands(Carrier& carrier, int side);
  bool read(Carrier& carrier, int side, std::vector<std::uint8_t>& into);  // false: nothing came
  bool may_read_on(const Carrier& carrier, int side) const;  // else an event tells of more
  Pipe::End ended(const Carrier& carrier, int side) const;
  std::size_t write(Carrier& carrier, int side, std::span<const iovec> buffers);
  // Closed in order, but not gone yet: finish_more() is all that is done with such an end.
  bool finishing(const Carrier& carrier, int side) const;
  bool client_finishing(std::uint32_t client) const;  // any
  void finish_more(Carrier& carrier, int side);
  // For one read of an encrypted carrier.
  MutableBytes read_buffer() { return read_buffer_; }
  // The pipes below.
  std::size_t send(Carrier& carrier, int side, Bytes bytes);
  void consume(Carrier& carrier, int side, std::size_t size);
  void watch(Carrier& carrier, int side);  // looks again when something new may be there
  void look_at_carrier(const Carrier& carrier, int side, Time at);
  void close(CarrierId id, int side, Pipe::End how);
  void close_all(std::uint32_t client, int side);

  void look_at_socket(Conversation& conversation, int side);
  void look_at_socket_at(Conversation& conversation, int side, Time at);
  void look_at_application(Conversation& conversation, int side);
  void connect_backend(Conversation& conversation);
  static Endpoint endpoint_of(const Conversation& conversation);
  Conversation& conversation_of(const Endpoint& source);

  // --- What the oracle is told ---
  void link_up(LinkDriver& driver, int side, const effect::LinkUp& up);
  void link_ended(LinkDriver& driver, int side, Cause cause);
  void client_exited(std::uint32_t client);
  // A link that knows nothing of what happened to those before.
  void new_link(std::uint32_t client);
  void stream_ended(Conversation& conversation, int side, const StreamSummary& summary);
  void explain(Conversation& conversation, int side, Cause cause, const char* what);
  void open_refused(std::uint32_t client, const effect::OpenRefused& refused);
  void open_failed(Conversation& conversation, bool leaving);
  void refusal(std::uint32_t client, Cause cause);
  void hello_seen(Carrier& carrier, const Hello& hello);
  void note_carrier_end(Cause cause);
  void count(const LinkCounters& counters, int side);
  void check(ClientHost& host);
  void check(ServerHost& host);

  void trace_to(std::FILE* file) { trace_ = file; }
  void write_trace(Link& link, int side, std::uint32_t client);

  // Cuts the carriers of a client behind `bytes` more (or so many in all) of one direction.
  void cut_at(Carrier& carrier, bool to_server, std::uint64_t offset);
  void cut(Carrier& carrier, Pipe::End how, bool client_sees, bool server_sees);
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

  struct Path {
    Time refuse_until{};
    Time hang_until{};
    Time slow_until{};
    Duration slow{};
  };
  Path& path(std::uint32_t client) { return paths_[client]; }

 private:
  struct OldHello {
    std::uint32_t client;
    std::vector<std::uint8_t> bytes;
  };

  void step(const Event& event);
  void start_conversation(const Event& event);
  void application(Conversation& conversation, int side);
  bool write_as_scripted(Conversation& conversation, int side, Time& next);
  void read_as_scripted(Conversation& conversation, int side, Time& next);
  void backend(const Event& event);
  void replay_hello(std::uint32_t client);
  void cut_all(std::uint32_t client, Pipe::End how, bool client_sees, bool server_sees);
  void hold_all(std::uint32_t client, bool to_server, bool to_client, Time until);
  void stall_client(std::uint32_t client, Duration length);
  void stall_server(Duration length);
  void restart_client(std::uint32_t client);
  void restart_server();
  void clone_client(std::uint32_t client, Duration length);
  void apply_process_fault(const Fault& fault);
  void encrypt(Carrier& carrier);
  void forget_if_closed(CarrierId id);
  void record_first_bytes(const Carrier& carrier);
  bool outage_over_grace(const Conversation& conversation) const;
  bool quiet();
  Duration patience() const;
  // For every stream of the client that is not over yet.
  void excuse(std::uint32_t client, bool Excuses::*why);
  void excuse_all(bool Excuses::*why);
  void check_pool(const MemoryPool& pool, std::size_t links) const;

  Options options_;
  Random random_;
  Time now_{};
  EventQueue events_;
  std::uint64_t numbers_ = 0;
  bool healed_ = false;
  bool finished_ = false;
  std::vector<std::unique_ptr<Conversation>> conversations_;
  std::unique_ptr<Encryption> own_encryption_;
  Encryption* encryption_;
  std::vector<std::uint8_t> read_buffer_;
  std::map<CarrierId, Carrier> carriers_;
  std::vector<Path> paths_;
  std::unique_ptr<ServerHost> server_;
  std::vector<std::unique_ptr<ClientHost>> clients_;
  std::vector<OldHello> hellos_;
  std::vector<PlannedCut> planned_;
  std::size_t planned_done_ = 0;
  std::uint64_t first_bytes_[2] = {0, 0};
  CarrierId first_carrier_;
  std::map<std::uint32_t, Duration> longest_;  // of each conversation, by index
  std::vector<Excuses> standing_;  // of each client, for streams that it opens from now on
  std::uint64_t links_renewed_ = 0;
  std::uint64_t hellos_seen_ = 0;
  std::FILE* trace_ = nullptr;
  Totals totals_;
};

}  // namespace holdfast::sim
