// Two Links in virtual time, wired by byte pipes, each with simple applications behind it.
//
//   LinkPair pair;
//   auto id = pair.open();
//   pair.client.write(id, "hello");
//   pair.run_for(milliseconds(100));
//   pair.cut();                          // the fault is one line
//   pair.run_for(seconds(1));
//   CHECK(pair.server.app(id).received == "hello");
//
// Nothing here is random: the same calls give the same run.
#pragma once

#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/overloaded.h"
#include "common/core/link.h"
#include "common/core/link_registry.h"
#include "common/core/pump.h"
#include "tests/catch.h"

namespace holdfast::test {

// One application's end of a stream.
struct App {
  StreamHandle handle;
  std::string received;
  std::uint64_t appetite = UINT64_MAX;  // bytes that its socket still takes
  bool opened = false;
  bool fin_seen = false;
  bool abort_seen = false;
  std::optional<Cause> reset;  // our agent reset it, with this cause
  std::optional<StreamSummary> ended;
  std::string to_send;
  bool finish_when_sent = false;
};

// A link and what stands behind it: the port of its pump. No turn has a limit here, but that it
// writes one gather at most, and none without a wire.
class End final : public Pump::Port {
 public:
  explicit End(std::uint64_t memory = 64 * kMiB, std::uint32_t streams = 1000)
      : pool(memory, streams) {}

  App& app(std::uint64_t id) { return apps[id]; }
  bool has_app(std::uint64_t id) const { return apps.count(id) != 0; }

  // The application writes; what has no room yet follows as room comes.
  void write(std::uint64_t id, std::string bytes) {
    app(id).to_send += bytes;
    push_bytes(app(id));
  }
  void finish(std::uint64_t id) {
    app(id).finish_when_sent = true;
    push_bytes(app(id));
  }
  void abort(std::uint64_t id) { link->abort(now, app(id).handle); }
  void reset(std::uint64_t id, Cause cause) { link->reset(now, app(id).handle, cause); }
  // The application reads on: its socket takes `bytes` more.
  void eat(std::uint64_t id, std::uint64_t bytes) {
    App& eater = app(id);
    eater.appetite = bytes;
    take_queued(eater);
  }

  // Does everything that the link asks for now, and sends nothing.
  void drain() { pump().turn(now); }
  // These came, and all that they cause is done.
  void receive(CarrierId carrier, Bytes bytes) {
    REQUIRE(pump().prepare_read(now));
    pump().carrier_bytes(now, carrier, bytes);
    drain();
  }
  // One gather to `wire`, if there is anything to be sent.
  using Wire = std::function<void(CarrierId, const Buffer&)>;
  void send(const Wire& wire) {
    wire_ = &wire;
    pump().turn(now);
    wire_ = nullptr;
  }

  void wants_turn() override {}
  void perform(const Effect& effect) override {
    effects += 1;
    std::visit(overloaded{
                   [&](const effect::Deliver& e) { on_deliver(e); },
                   [&](const effect::DeliverFin& e) { on_fin(e); },
                   [&](const effect::DeliverAbort& e) { on_abort(e); },
                   [&](const effect::ResetSocket& e) {
                     log += 'S';
                     app(e.stream.id.value).reset = e.cause;
                   },
                   [&](const effect::ResumeReading& e) { push_bytes(app(e.stream.id.value)); },
                   [&](const effect::Opened& e) {
                     log += 'O';
                     app(e.stream.id.value).opened = true;
                   },
                   [&](const effect::Ended& e) {
                     log += 'E';
                     app(e.stream.id.value).ended = e.summary;
                   },
                   [&](const effect::OpenRefused& e) { refused_opens.push_back(e.cause); },
                   [&](const effect::CloseCarrier& e) { closed.push_back(e); },
                   [&](const effect::LinkUp& e) { ups.push_back(e); },
                   [&](const effect::LinkDown& e) { downs.push_back(e.cause); },
                   [&](const effect::LinkEnded& e) { ended = e.cause; },
                   [&](const effect::Refused& e) { refusals.push_back(e.cause); },
                   [&](const effect::Draining&) { draining = true; },
                   [&](const effect::ServicesDown& e) { services_down.push_back(e.services); },
                   [&](const effect::Barren& e) { barren.push_back(e); },
                   [&](const effect::Origin& e) { origins[e.stream.id.value].push_back(e.mark); },
                   [&](const effect::ConnectTarget&) { FAIL("the pump's"); },
                   [&](const effect::VerifyCarrier&) { FAIL("the pump's"); },
               },
               effect);
    link->check_invariants();
  }
  void connect(StreamHandle stream) override {
    log += 'C';
    App& to = app(stream.id.value);
    REQUIRE(to.handle == StreamHandle{});  // nothing is opened twice
    to.handle = stream;
    to.appetite = appetite;
    if (connects) {
      to.opened = true;
      link->opened(now, stream);
      take_queued(to);
    }
    link->check_invariants();
  }
  bool read_once(CarrierId) override { return !silent; }
  bool writable(CarrierId) const override { return wire_ != nullptr; }
  std::size_t write(CarrierId carrier, std::span<const iovec> buffers) override {
    Buffer bytes;
    for (const iovec& part : buffers) {
      auto* data = static_cast<const std::uint8_t*>(part.iov_base);
      bytes.insert(bytes.end(), data, data + part.iov_len);
    }
    (*wire_)(carrier, bytes);
    return bytes.size();
  }
  void finish(CarrierId carrier) override { finished.push_back(carrier); }

  Time now{};
  MemoryPool pool;
  Link* link = nullptr;
  std::map<std::uint64_t, App> apps;
  std::vector<std::vector<std::uint16_t>> services_down;
  bool connects = true;                 // backends answer at once
  bool takes_ends = true;               // sockets take FIN and reset at once
  std::uint64_t appetite = UINT64_MAX;  // of applications that come
  // What happened, one letter an effect of a stream: D deliver, F fin, B abort, S reset socket,
  // E ended, O opened, C connect.
  std::string log;
  std::vector<effect::CloseCarrier> closed;
  std::vector<effect::LinkUp> ups;
  std::vector<Cause> downs;
  std::vector<Cause> refusals;
  std::vector<Cause> refused_opens;
  std::optional<Cause> ended;
  std::vector<CarrierId> finished;
  std::vector<effect::Barren> barren;
  std::map<std::uint64_t, std::vector<std::uint64_t>> origins;
  bool draining = false;
  std::uint64_t effects = 0;
  std::size_t gather = tuning::kMaxGather;
  bool silent = false;  // a carrier that is to be verified has nothing to say

 private:
  // Of the link that is here now.
  Pump& pump() {
    if (std::exchange(pumped_, link) != link) {
      pump_.emplace(*link, *this, Pump::Budget{SIZE_MAX, SIZE_MAX, 1, gather});
    }
    return *pump_;
  }
  void on_deliver(const effect::Deliver& e) {
    log += 'D';
    App& to = app(e.stream.id.value);
    auto size = static_cast<std::size_t>(std::min<std::uint64_t>(to.appetite, e.bytes.size()));
    to.received.append(reinterpret_cast<const char*>(e.bytes.data()), size);
    to.appetite -= size;
    if (size != 0) link->delivered(now, e.stream, size);
  }
  void on_fin(const effect::DeliverFin& e) {
    log += 'F';
    app(e.stream.id.value).fin_seen = true;
    if (takes_ends) link->fin_delivered(now, e.stream);
  }
  void on_abort(const effect::DeliverAbort& e) {
    log += 'B';
    app(e.stream.id.value).abort_seen = true;
    if (takes_ends) link->abort_delivered(now, e.stream);
  }
  void take_queued(App& to) {
    while (to.appetite != 0) {
      iovec views[4];
      std::size_t count = link->queued(to.handle, views);
      if (count == 0) return;
      std::size_t taken = 0;
      for (std::size_t i = 0; i < count && to.appetite != 0; ++i) {
        auto size =
            static_cast<std::size_t>(std::min<std::uint64_t>(to.appetite, views[i].iov_len));
        to.received.append(static_cast<const char*>(views[i].iov_base), size);
        to.appetite -= size;
        taken += size;
      }
      link->delivered(now, to.handle, taken);
    }
  }
  void push_bytes(App& from) {
    std::size_t sent = 0;
    for (std::size_t count = 1; count != 0 && sent < from.to_send.size();) {
      iovec room[8];
      std::size_t left = from.to_send.size() - sent;
      // One more than there is: the read finds that this is all.
      count = link->prepare(from.handle, left + 1, room);
      std::size_t size = 0;
      for (std::size_t i = 0; i < count && size < left; ++i) {
        std::size_t part = std::min(room[i].iov_len, left - size);
        std::memcpy(room[i].iov_base, from.to_send.data() + sent + size, part);
        size += part;
      }
      if (count != 0) link->commit(now, from.handle, size);
      sent += size;
    }
    from.to_send.erase(0, sent);  // once: it may be long
    if (!from.to_send.empty()) return;
    if (from.finish_when_sent) {
      from.finish_when_sent = false;
      link->finish(now, from.handle);
    }
  }

  const Wire* wire_ = nullptr;
  const Link* pumped_ = nullptr;
  std::optional<Pump> pump_;
};

class LinkPair {
 public:
  struct Options {
    Duration one_way{};  // delay of the path
    Duration grace = seconds(300);
    Duration heartbeat = seconds(1);
    Duration dead_after = seconds(15);
    Duration open_timeout = seconds(30);
    std::vector<LinkService> services = {{"echo", seconds(300)}, {"short", seconds(10)}};
    std::uint64_t memory = 64 * kMiB;
    std::uint32_t streams = 1000;
    std::size_t gather = tuning::kMaxGather;
    bool trace = false;
    MarkKey mark_key{};
  };

  LinkPair() : LinkPair(Options{}) {}
  explicit LinkPair(Options options)
      : client(options.memory, options.streams),
        server(options.memory, options.streams),
        options_(options),
        registry(registry_options(), server.pool, 1) {
    LinkOptions mine = link_options();
    mine.role = LinkOptions::Role::client;
    mine.name = "edge-1";
    mine.start_id = 77;
    mine.mark_key = options.mark_key;
    LinkId id;
    id.bytes[0] = 1;
    client_link_ = std::make_unique<Link>(mine, client.pool, id, 0);
    client.link = client_link_.get();
    client.gather = server.gather = options.gather;
    client.silent = server.silent = true;
    policy_.name = "edge-1";
    policy_.services = options.services;
    move_time(Time(seconds(1)));
  }

  // --- Faults: each one line in a test ---------------------------------------------------------
  void cut() { lose_carrier(true, true); }  // reset: both sides notice
  void cut_unseen_by_server() { lose_carrier(true, false); }
  void cut_unseen_by_client() { lose_carrier(false, true); }
  bool reachable = true;          // dials succeed
  bool silent_to_server = false;  // bytes vanish on the way, nobody is told
  bool silent_to_client = false;

  // --- Acts ------------------------------------------------------------------------------------
  std::uint64_t open(std::uint16_t service = 0) {
    auto handle = client.link->open(now(), {service, {}, {}});
    REQUIRE(handle.ok());
    App& app = client.app(handle->id.value);
    app.handle = *handle;
    app.appetite = client.appetite;
    return handle->id.value;
  }
  // Runs until `duration` has passed, timers and all.
  void run_for(Duration duration) {
    Time until = now() + duration;
    while (true) {
      settle();
      Time next = next_event();
      if (next > until) break;
      move_time(std::max(next, now()));
      drain_ends();
    }
    move_time(until);
    settle();
  }
  // Runs until nothing more moves at this instant.
  void settle() {
    for (int i = 0; i < 100000; ++i) {
      if (!step()) return;
    }
    FAIL("the pair does not come to rest");
  }

  Time now() const { return now_; }
  Link& link_of_server() { return *server.link; }
  std::uint64_t wire_bytes_to_server = 0;
  std::uint64_t wire_bytes_to_client = 0;
  int dials = 0;

 private:
  struct Chunk {
    Time at;
    Buffer bytes;
  };
  using Pipe = std::deque<Chunk>;

  LinkOptions link_options() const {
    LinkOptions link;
    link.services = options_.services;
    link.heartbeat = options_.heartbeat;
    link.dead_after = options_.dead_after;
    link.grace = options_.grace;
    link.open_timeout = options_.open_timeout;
    link.max_streams = options_.streams;
    link.trace = options_.trace;
    return link;
  }
  RegistryOptions registry_options() const { return {"gate", link_options()}; }

  void move_time(Time now) { now_ = client.now = server.now = now; }

  bool step() {
    bool moved = dial();
    drain_ends();
    moved = move_bytes(to_server_, true) || moved;
    moved = move_bytes(to_client_, false) || moved;
    moved = transmit(client, silent_to_server ? nullptr : &to_server_) || moved;
    moved = transmit(server, silent_to_client ? nullptr : &to_client_) || moved;
    drain_ends();
    return moved;
  }

  void drain_ends() {
    client.drain();
    close_if_told(client, client_carrier_);
    if (server.link != nullptr) {
      server.drain();
      close_if_told(server, server_carrier_);
    }
  }

  // An agent that closes its carrier tells the other by a reset (unless silence swallows it).
  void close_if_told(End& end, CarrierId& carrier) {
    if (carrier == CarrierId{} || end.closed.empty()) return;
    bool told = false;
    for (const auto& close : end.closed) told = told || close.carrier == carrier;
    if (!told) return;
    carrier = {};
    // What was sent before still arrives.
    (&end == &client ? client_gone_ : server_gone_) = true;
  }

  bool dial() {
    if (!client.link->wants_carrier() || !reachable || silent_to_server || silent_to_client) {
      return false;
    }
    next_carrier_ += 1;
    dials += 1;
    to_server_.clear();
    to_client_.clear();
    client_gone_ = server_gone_ = false;
    client_carrier_ = CarrierId{next_carrier_};
    // The server knows nothing of a carrier before its HELLO.
    pending_server_carrier_ = CarrierId{next_carrier_};
    hello_ = std::make_unique<HelloReader>(options_.streams);
    client.link->carrier_up(now_, client_carrier_, options_.one_way * 2);
    return true;
  }

  bool move_bytes(Pipe& pipe, bool towards_server) {
    bool moved = false;
    while (!pipe.empty() && pipe.front().at <= now_) {
      Buffer bytes = std::move(pipe.front().bytes);
      pipe.pop_front();
      moved = true;
      if (!towards_server) {
        client.receive(client_carrier_, bytes);
        close_if_told(client, client_carrier_);
      } else if (hello_ != nullptr) {
        greet(bytes);
      } else if (server.link != nullptr) {
        server.receive(server_carrier_, bytes);
        close_if_told(server, server_carrier_);
      }
    }
    if (pipe.empty() && towards_server && client_gone_) {
      client_gone_ = false;
      if (server.link != nullptr)
        server.link->carrier_down(now_, server_carrier_, Cause::carrier_eof);
      server_carrier_ = {};
      moved = true;
    }
    if (pipe.empty() && !towards_server && server_gone_) {
      server_gone_ = false;
      client.link->carrier_down(now_, client_carrier_, Cause::carrier_eof);
      client_carrier_ = {};
      moved = true;
    }
    return moved;
  }

  void greet(Bytes bytes) {
    HelloReader::State state = hello_->feed(bytes);
    if (state == HelloReader::State::incomplete) return;
    INFO(hello_->reason());
    REQUIRE(state == HelloReader::State::complete);
    auto decision =
        registry.hello(now_, pending_server_carrier_, policy_, std::move(hello_->request()));
    hello_.reset();
    if (auto* accepted = std::get_if<LinkRegistry::Accepted>(&decision)) {
      server.link = accepted->link;
      server_carrier_ = pending_server_carrier_;
      server.drain();
      return;
    }
    Buffer answer;
    if (auto* unknown = std::get_if<LinkRegistry::Unknown>(&decision))
      answer = registry.welcome_unknown(*unknown);
    if (auto* no = std::get_if<LinkRegistry::Refused>(&decision))
      answer = registry.welcome_refused(*no);
    if (!answer.empty()) to_client_.push_back({now_ + options_.one_way, answer});
    server_gone_ = true;
  }

  // False: the end has nothing to say. No pipe: it is lost on the way.
  bool transmit(End& end, Pipe* pipe) {
    if (end.link == nullptr) return false;
    bool any = false;
    bool to_server = &end == &client;
    end.send([&](CarrierId carrier, const Buffer& bytes) {
      any = true;
      (to_server ? wire_bytes_to_server : wire_bytes_to_client) += bytes.size();
      bool current = carrier == (to_server ? client_carrier_ : server_carrier_);
      if (current && pipe != nullptr) pipe->push_back({now_ + options_.one_way, bytes});
    });
    return any;
  }

  Time next_event() {
    Time next = client.link->next_timeout();
    if (server.link != nullptr) next = std::min(next, server.link->next_timeout());
    if (!to_server_.empty()) next = std::min(next, to_server_.front().at);
    if (!to_client_.empty()) next = std::min(next, to_client_.front().at);
    return next;
  }

  void lose_carrier(bool tell_client, bool tell_server) {
    settle();
    to_server_.clear();
    to_client_.clear();
    client_gone_ = server_gone_ = false;
    if (tell_client) client.link->carrier_down(now_, client_carrier_, Cause::carrier_reset);
    if (tell_server && server.link != nullptr) {
      server.link->carrier_down(now_, server_carrier_, Cause::carrier_reset);
    }
    client_carrier_ = {};
    if (tell_server) server_carrier_ = {};
  }

 public:
  // Like cut(), but what is on its way is lost first: bytes that were written never arrive.
  void cut_with_bytes_in_flight() {
    client.drain();
    if (server.link != nullptr) server.drain();
    transmit(client, nullptr);
    transmit(server, nullptr);
    to_server_.clear();
    to_client_.clear();
    client.link->carrier_down(now_, client_carrier_, Cause::carrier_reset);
    if (server.link != nullptr) {
      server.link->carrier_down(now_, server_carrier_, Cause::carrier_reset);
    }
    client_carrier_ = server_carrier_ = {};
  }

  End client;
  End server;

 private:
  Options options_;
  Time now_{};
  std::unique_ptr<Link> client_link_;
  ClientPolicy policy_;
  std::unique_ptr<HelloReader> hello_;
  Pipe to_server_;
  Pipe to_client_;
  CarrierId client_carrier_;
  CarrierId server_carrier_;
  CarrierId pending_server_carrier_;
  bool client_gone_ = false;  // closed by its own side, the other hears when the pipe is empty
  bool server_gone_ = false;
  std::uint64_t next_carrier_ = 0;

 public:
  LinkRegistry registry;
};

}  // namespace holdfast::test
