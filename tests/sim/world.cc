// The clock, the phases and the medium of a world.
#include "tests/sim/world.h"

#include <algorithm>

#include "common/core/trace.h"
#include "tests/sim/encryption.h"

namespace holdfast::sim {
namespace {

// Far beyond what any drawn world needs.
constexpr std::uint64_t kMaxSteps = 20000000;

}  // namespace

World::World(Options options, Encryption* encryption)
    : options_(std::move(options)), random_(options_.seed), encryption_(encryption) {
  if (options_.tls) read_buffer_.resize(options_.read_chunk);
  if (options_.tls && encryption_ == nullptr) {
    own_encryption_ = std::make_unique<Encryption>();
    encryption_ = own_encryption_.get();
  }
  server_ = std::make_unique<ServerHost>(*this);
  server_->start();
  paths_.resize(options_.clients);
  standing_.resize(options_.clients);
  for (std::uint32_t i = 0; i < options_.clients; ++i) {
    clients_.push_back(std::make_unique<ClientHost>(*this, i, name_of_client(i)));
    clients_.back()->start();
  }
  for (const ConversationScript& script : options_.conversations) converse(script);
  for (std::size_t i = 0; i < options_.faults.size(); ++i) {
    schedule(options_.faults[i].at, EventKind::fault, static_cast<std::uint32_t>(i), 0);
  }
}

World::~World() = default;

Conversation& World::converse(const ConversationScript& script) {
  auto conversation = std::make_unique<Conversation>();
  conversation->index = static_cast<std::uint32_t>(conversations_.size());
  conversation->client = script.client;
  conversation->script = script;
  for (int side = 0; side < 2; ++side) {
    conversation->sides[side].script = script.sides[side];
    conversation->sides[side].key =
        (conversation->index + 1) * 0x100000001b3U + static_cast<unsigned>(side);
  }
  conversations_.push_back(std::move(conversation));
  Conversation& added = *conversations_.back();
  schedule(std::max(script.start, now_), EventKind::start_conversation, added.index, 0);
  return added;
}

std::vector<LinkService> World::services() const {
  std::vector<LinkService> services;
  for (std::uint32_t i = 0; i < options_.services; ++i) {
    services.push_back({"service-" + std::to_string(i), options_.service_grace[i]});
  }
  return services;
}

// --- Phases ----------------------------------------------------------------------------------

void World::run() {
  totals_.runs += 1;
  run_until(options_.heal_at);
  heal();
  finish();
}

void World::run_until(Time until) {
  while (!events_.empty() && events_.top().at <= until) {
    Event event = events_.pop();
    now_ = std::max(now_, event.at);
    require(++totals_.steps < kMaxSteps, "steps without end");
    step(event);
  }
  now_ = std::max(now_, until);
}

void World::heal() {
  healed_ = true;
  for (Path& path : paths_) path = {};
  for (auto& [id, carrier] : carriers_) carrier.cut_to_server = carrier.cut_to_client = UINT64_MAX;
  if (!server_->running() || server_->draining()) restart_server();
  server_->stall(now_);
  for (std::uint32_t i = 0; i < clients_.size(); ++i) {
    if (i >= options_.clients) {
      clients_[i]->kill();
      continue;
    }
    clients_[i]->stall(now_);
    if (!clients_[i]->running()) clients_[i]->start();
  }
  server_->on_wake();
  for (auto& host : clients_) host->on_wake();
  for (auto& conversation : conversations_) {
    for (int side = 0; side < 2; ++side) {
      SideScript& script = conversation->sides[side].script;
      script.gap = script.read_gap = script.stall = Duration{};
      script.chunk = std::max(script.chunk, 16384U);
      script.read_chunk = script.receive_buffer = 65536;
      if (script.end != SideScript::End::reset) script.end = SideScript::End::close;
      look_at_application(*conversation, side);
    }
  }
}

// How long everything may take once nothing is in the way.
Duration World::patience() const {
  std::uint64_t bytes = 0;
  for (auto& conversation : conversations_) {
    bytes += conversation->sides[0].script.total + conversation->sides[1].script.total;
  }
  Duration time = seconds(150) + std::max(options_.grace, options_.service_grace[0]);
  if (options_.bandwidth != 0) {
    time += Duration(static_cast<std::int64_t>(bytes * 4 * 1000000 / options_.bandwidth));
  }
  std::uint64_t per_trip = std::min<std::uint64_t>(options_.max_window, options_.pipe_capacity) / 2;
  per_trip = std::min<std::uint64_t>(per_trip, 2048) + 1;
  return time + options_.latency * static_cast<std::int64_t>(4 * bytes / per_trip);
}

bool World::all_ended() const {
  return std::all_of(conversations_.begin(), conversations_.end(), [](const auto& conversation) {
    if (!conversation->opened) return true;
    for (const Side& side : conversation->sides) {
      if (side.driver != nullptr) return false;
    }
    return true;
  });
}

// Links live again, nothing held, nobody left over.
bool World::quiet() {
  if (!all_ended() || !server_->running()) return false;
  for (std::uint32_t i = 0; i < options_.clients; ++i) {
    ClientHost& host = *clients_[i];
    if (!host.running() || !host.link()->live()) return false;
    if (host.link()->stream_count() != 0 || host.pool()->arena.in_use() != 0) return false;
  }
  std::size_t streams = 0;
  server_->for_each_driver([&](LinkDriver& driver) { streams += driver.link().stream_count(); });
  return streams == 0 && server_->pool()->arena.in_use() == 0 &&
         server_->registry()->size() == options_.clients;
}

void World::finish() {
  Time deadline = now_ + patience();
  while (!quiet() && now_ < deadline) run_until(now_ + seconds(1));
  for (auto& conversation : conversations_) {
    Excuses& excuses = conversation->excuses;
    excuses.outage_over_grace = excuses.outage_over_grace || outage_over_grace(*conversation);
    conversation->check_end();
    if (conversation->opened && !excuses.any()) totals_.untouched += 1;
  }
  for (std::uint32_t i = 0; i < options_.clients; ++i) {
    require(clients_[i]->running() && clients_[i]->link()->live(), "a link is not live again");
    require(clients_[i]->link()->stream_count() == 0, "a client's records outlive the streams");
    require(clients_[i]->pool()->arena.in_use() == 0, "a client's arena is not empty");
    require(clients_[i]->pool()->streams() == 0, "a client's pool counts streams");
    require(clients_[i]->pool()->send.used() == 0 && clients_[i]->pool()->receive.used() == 0,
            "a client's memory account is not empty");
  }
  require(server_->pool()->arena.in_use() == 0, "the server's arena is not empty");
  require(server_->pool()->streams() == 0, "the server's pool counts streams");
  require(server_->pool()->send.used() == 0 && server_->pool()->receive.used() == 0,
          "the server's memory account is not empty");
  require(server_->registry()->size() == options_.clients, "the server keeps a link of nobody");
  // A carrier that went silent before the healing is found by liveness, so that no goodbye is lost.
  run_until(now_ + options_.dead_after + options_.grace);
  finished_ = true;
  std::uint64_t hellos = hellos_seen_;
  for (auto& host : clients_) host->goodbye();
  run_until(now_ + seconds(6));
  // A first HELLO that was held back until now makes an empty link, which ends by its grace.
  if (hellos_seen_ != hellos) run_until(now_ + seconds(200));
  for (auto& host : clients_) require(!host->running(), "a client does not end after goodbye");
  require(server_->registry()->size() == 0, "a link outlives its client's goodbye");
  server_->kill();
  totals_.virtual_seconds += static_cast<std::uint64_t>(now_.time_since_epoch().count() / 1000000);
}

void World::step(const Event& event) {
  switch (event.kind) {
    case EventKind::client_carrier: {
      Carrier* found = carrier(CarrierId{event.detail});
      if (found == nullptr) return;
      if (found->look[0] <= event.at) found->look[0] = kNever;
      if (found->ghost || clients_[found->client]->stalled()) return;
      return clients_[found->client]->on_carrier(found->id);
    }
    case EventKind::server_carrier: {
      Carrier* found = carrier(CarrierId{event.detail});
      if (found == nullptr) return;
      if (found->look[1] <= event.at) found->look[1] = kNever;
      if (server_->stalled()) return;
      return server_->on_carrier(found->id);
    }
    case EventKind::dial:
      if (!clients_[event.index]->stalled()) clients_[event.index]->on_dial(event.detail);
      return;
    case EventKind::client_timer:
      if (!clients_[event.index]->stalled() && clients_[event.index]->armed(event.at)) {
        clients_[event.index]->on_timer();
      }
      return;
    case EventKind::server_timer:
      if (!server_->stalled() && server_->armed(event.at)) server_->on_timer();
      return;
    case EventKind::client_wake:
      return clients_[event.index]->on_wake();
    case EventKind::server_wake:
      return server_->on_wake();
    case EventKind::start_conversation:
      return start_conversation(event);
    case EventKind::application: {
      Conversation& conversation = *conversations_[event.index];
      int side = static_cast<int>(event.detail & 1);
      if (conversation.sides[side].tick != event.detail >> 1) return;
      return application(conversation, side);
    }
    case EventKind::socket: {
      Conversation& conversation = *conversations_[event.index];
      if (event.detail == 1) {
        if (!server_->stalled()) server_->on_socket(conversation);
      } else if (!clients_[conversation.client]->stalled()) {
        clients_[conversation.client]->on_socket(conversation);
      }
      return;
    }
    case EventKind::backend:
      return backend(event);
    case EventKind::fault:
      if (!healed_) apply(options_.faults[event.index]);
      return;
    case EventKind::restart_client:
      if (!finished_ && !clients_[event.index]->running()) clients_[event.index]->start();
      return;
    case EventKind::restart_server:
      if (!server_->running() || (event.detail == 1 && server_->draining())) restart_server();
      return;
    case EventKind::stop_clone:
      return clients_[event.index]->kill();
    case EventKind::cut_carrier: {
      if (Carrier* found = carrier(CarrierId{event.detail})) {
        cut(*found, Pipe::End::reset, true, true);
        if (found->ghost) close(found->id, 0, Pipe::End::reset);
      }
      return;
    }
  }
}

// --- The medium ------------------------------------------------------------------------------

World::DialOutcome World::dial(std::uint32_t client) {
  totals_.dials += 1;
  const Path& path = paths_[client];
  if (now_ < path.hang_until) return {false, options_.handshake_timeout};
  if (now_ < path.refuse_until) return {false, options_.latency * 2};
  Duration jitter = Duration(static_cast<std::int64_t>(random_.below(2000)));
  return {true, options_.latency * 2 + jitter};
}

CarrierId World::connect(std::uint32_t client) {
  const Path& path = paths_[client];
  if (!server_->running() || now_ < path.refuse_until || now_ < path.hang_until) return {};
  CarrierId id{next_number()};
  Pipe::Shape shape{options_.latency, options_.bandwidth, options_.pipe_capacity};
  Carrier& carrier = carriers_.try_emplace(id, id, client, shape).first->second;
  if (first_carrier_ == CarrierId{}) first_carrier_ = id;
  encrypt(carrier);
  if (now_ < path.slow_until) carrier.to_server.hold(now_ + path.slow);
  if (planned_done_ < planned_.size()) {
    const PlannedCut& planned = planned_[planned_done_++];
    cut_at(carrier, planned.to_server, planned.offset);
  }
  return id;
}

Carrier* World::carrier(CarrierId id) {
  auto found = carriers_.find(id);
  return found == carriers_.end() ? nullptr : &found->second;
}

std::vector<CarrierId> World::carriers_of(std::uint32_t client) const {
  std::vector<CarrierId> ids;
  for (const auto& [id, carrier] : carriers_) {
    if (carrier.client == client && !carrier.ghost) ids.push_back(id);
  }
  return ids;
}

std::vector<CarrierId> World::all_carriers() const {
  std::vector<CarrierId> ids;
  for (const auto& [id, carrier] : carriers_) ids.push_back(id);
  return ids;
}

std::size_t World::send(Carrier& carrier, int side, Bytes bytes) {
  Pipe& pipe = side == 0 ? carrier.to_server : carrier.to_client;
  std::size_t size = pipe.write(now_, bytes);
  bool encrypted = carrier.ends[side] != nullptr;
  if (encrypted) totals_.ciphertext += size;
  // Who listens on an encrypted path knows no better than to play back everything.
  bool greeting = side == 0 && (encrypted || carrier.to_client.read() == 0);
  if (greeting && carrier.hello.size() < 65536) {
    carrier.hello.insert(carrier.hello.end(), bytes.begin(),
                         bytes.begin() + static_cast<std::ptrdiff_t>(size));
  }
  std::uint64_t limit = side == 0 ? carrier.cut_to_server : carrier.cut_to_client;
  if (limit != UINT64_MAX && pipe.written() >= limit) {
    cut_at(carrier, side == 0, limit);
  }
  watch(carrier, 1 - side);
  return size;
}

void World::consume(Carrier& carrier, int side, std::size_t size) {
  Pipe& pipe = side == 0 ? carrier.to_client : carrier.to_server;
  bool was_full = pipe.full();
  pipe.consume(size);
  if (was_full) {
    EventKind kind = side == 0 ? EventKind::server_carrier : EventKind::client_carrier;
    schedule(now_ + options_.latency, kind, 0, carrier.id.value);
  }
}

void World::watch(Carrier& carrier, int side) {
  const Pipe& pipe = side == 0 ? carrier.to_client : carrier.to_server;
  Time at = pipe.next_arrival();
  if (carrier.ends[side] && carrier.ends[side]->buffered()) at = now_;
  if (at == kNever) return;
  at = std::max(at, now_);
  if (carrier.look[side] <= at) return;
  carrier.look[side] = at;
  look_at_carrier(carrier, side, at);
}

void World::look_at_carrier(const Carrier& carrier, int side, Time at) {
  EventKind kind = side == 0 ? EventKind::client_carrier : EventKind::server_carrier;
  schedule(at, kind, 0, carrier.id.value);
}

void World::close(CarrierId id, int side, Pipe::End how) {
  Carrier* found = carrier(id);
  if (found == nullptr) return;
  bool& open = side == 0 ? found->client_open : found->server_open;
  if (!open) return;
  if (TlsEnd* end = found->ends[side].get()) {
    if (how == Pipe::End::eof && end->finish()) return;
    end->close();
  }
  open = false;
  Pipe& out = side == 0 ? found->to_server : found->to_client;
  Pipe& in = side == 0 ? found->to_client : found->to_server;
  std::uint64_t keep = out.written();
  if (how == Pipe::End::reset) {
    keep = random_.between(out.arrived(now_), out.written());
  }
  out.end(how, keep, now_ + options_.latency);
  in.discard();
  watch(*found, 1 - side);
  // Its writer may be waiting for room.
  EventKind kind = side == 0 ? EventKind::server_carrier : EventKind::client_carrier;
  schedule(now_, kind, 0, id.value);
  if (side == 0 && !found->hello.empty() && !found->ghost && hellos_.size() < 32) {
    hellos_.push_back({found->client, found->hello});
  }
  forget_if_closed(id);
}

void World::forget_if_closed(CarrierId id) {
  Carrier* found = carrier(id);
  if (found == nullptr || found->client_open || found->server_open) return;
  record_first_bytes(*found);
  carriers_.erase(id);
}

void World::record_first_bytes(const Carrier& carrier) {
  if (carrier.id != first_carrier_) return;
  first_bytes_[1] = carrier.to_server.read();
  first_bytes_[0] = carrier.to_client.read();
}

// A process died: its kernel resets what it had, or nobody hears of it.
void World::close_all(std::uint32_t client, int side) {
  for (CarrierId id : all_carriers()) {
    Carrier* found = carrier(id);
    if (found == nullptr || (side == 0 && (found->client != client || found->ghost))) continue;
    close(id, side, Pipe::End::reset);
  }
}

void World::cut_at(Carrier& carrier, bool to_server, std::uint64_t offset) {
  (to_server ? carrier.cut_to_server : carrier.cut_to_client) = offset;
  Pipe& pipe = to_server ? carrier.to_server : carrier.to_client;
  if (pipe.written() < offset || pipe.closed()) return;
  Pipe& other = to_server ? carrier.to_client : carrier.to_server;
  totals_.cuts += 1;
  pipe.end(Pipe::End::reset, offset, now_ + options_.latency);
  other.end(Pipe::End::reset, random_.between(other.arrived(now_), other.written()),
            now_ + options_.latency);
  watch(carrier, 0);
  watch(carrier, 1);
}

void World::cut(Carrier& carrier, Pipe::End how, bool client_sees, bool server_sees) {
  totals_.cuts += 1;
  auto end = [&](Pipe& pipe, bool seen) {
    std::uint64_t keep = random_.between(pipe.arrived(now_), pipe.written());
    if (how == Pipe::End::eof && random_.one_in(2)) keep = pipe.written();
    if (!seen) {
      // Nothing more comes that way; perhaps what is under way does, much later.
      pipe.hold(random_.one_in(2)
                    ? kNever
                    : now_ + milliseconds(static_cast<std::int64_t>(random_.below(8000))));
      return;
    }
    pipe.end(how, keep, now_);
  };
  end(carrier.to_client, client_sees);
  end(carrier.to_server, server_sees);
  watch(carrier, 0);
  watch(carrier, 1);
}

void World::write_trace(Link& link, int side, std::uint32_t client) {
  for (const TraceEvent& event : link.take_trace()) {
    if (trace_ == nullptr) continue;
    std::string name = side == 1               ? "server"
                       : options_.clients == 1 ? "client"
                                               : clients_[client]->name();
    std::fprintf(trace_, "%s\n", to_json(event, name, link.id().short_name()).c_str());
  }
}

}  // namespace holdfast::sim
