// The clock, the phases and the network of a world.
#include "tests/sim/world.h"

#include <algorithm>

#include "common/core/trace.h"
#include "tests/sim/application_end.h"
#include "tests/sim/encryption.h"
#include "tests/sim/kernel/names.h"
#include "tests/sim/kernel/socket.h"

namespace holdfast::sim {
namespace {

// Far beyond what any drawn world needs.
constexpr std::uint64_t kMaxSteps = 20000000;

constexpr const char* kServerName = "server.test";

std::string service_name(std::uint32_t service) {
  return "service-" + std::to_string(service) + ".test";
}

}  // namespace

World::World(Options options, Encryption* encryption)
    : options_(std::move(options)),
      kernel_(options_.seed, *this),
      encryption_(encryption),
      server_streams_(options_.server_streams != 0 ? options_.server_streams
                                                   : options_.max_streams),
      least_streams_(std::min(server_streams_, options_.max_streams)),
      watch_(*this) {
  for (Hardship each : options_.hardships) totals_.hardships[static_cast<int>(each)] += 1;
  publish_names();
  if (options_.tls && encryption_ == nullptr) {
    own_encryption_ = std::make_unique<Encryption>();
    encryption_ = own_encryption_.get();
  }
  server_ = std::make_unique<ServerHost>(*this);
  server_->start();
  standing_.resize(options_.clients);
  for (std::uint32_t i = 0; i < options_.clients; ++i) {
    paths_.push_back(std::make_unique<Path>(options_.path, kernel_.random()));
    clients_.push_back(std::make_unique<ClientHost>(*this, i, name_of_client(i)));
    clients_.back()->start();
  }
  schedule(Time(seconds(1)), What::look_around, 0, 0);
  for (const ConversationScript& script : options_.conversations) converse(script);
  for (std::size_t i = 0; i < options_.faults.size(); ++i) {
    schedule(options_.faults[i].at, What::fault, static_cast<std::uint32_t>(i), 0);
  }
}

World::~World() {
  trace_ = nullptr;
  clients_.clear();
  server_.reset();
}

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
  schedule(std::max(script.start, now()), What::start_conversation, added.index, 0);
  return added;
}

LinkOptions World::link_options(LinkOptions::Role role) const {
  LinkOptions link;
  link.role = role;
  link.heartbeat = options_.heartbeat;
  link.dead_after = options_.dead_after;
  link.handshake_timeout = options_.handshake_timeout;
  link.grace = options_.grace;
  link.open_timeout = options_.open_timeout;
  link.max_window = options_.max_window;
  link.max_streams = options_.max_streams;
  link.trace = options_.trace;
  return link;
}

std::vector<LinkService> World::services() const {
  std::vector<LinkService> services;
  for (std::uint32_t i = 0; i < options_.services; ++i) {
    services.push_back({"service-" + std::to_string(i), options_.service_grace[i]});
  }
  return services;
}

std::vector<HostPort> World::servers() const {
  std::string host = options_.names ? kServerName : Address{ServerHost::kAddress, 0}.host_text();
  return {{host, ServerHost::kLinkPort}};
}

HostPort World::target(std::uint32_t service) const {
  Address address{ServerHost::kServices + service, 80};
  return {options_.names ? service_name(service) : address.host_text(), address.port};
}

void World::publish_names() {
  Names& names = kernel_.names();
  names.set(kServerName, {ServerHost::kAddress});
  for (std::uint32_t i = 0; i < options_.services; ++i) {
    names.set(service_name(i), {ServerHost::kServices + i});
  }
}

std::unique_ptr<TlsContext> World::client_tls(const std::string& name) {
  return options_.tls ? encryption_->client(name) : nullptr;
}

std::unique_ptr<TlsContext> World::server_tls() {
  return options_.tls ? encryption_->server() : nullptr;
}

// --- Phases ----------------------------------------------------------------------------------

void World::run() {
  totals_.runs += 1;
  totals_.encrypted += options_.tls ? 1 : 0;
  run_until(options_.heal_at);
  heal();
  finish();
}

void World::run_until(Time until) {
  while (kernel_.step(until)) {
    require(++totals_.steps < kMaxSteps, "steps without end");
    reap();
  }
  kernel_.advance(until);
}

// Processes that have ended by themselves.
void World::reap() {
  if (server_->running() && server_->agent()->over()) server_->kill();
  for (std::uint32_t i = 0; i < clients_.size(); ++i) {
    ClientHost& host = *clients_[i];
    if (!host.running() || !host.agent()->over()) continue;
    host.kill();
    if (!finished_ && healed_ && i < options_.clients) host.start();
  }
}

void World::heal() {
  healed_ = true;
  for (auto& path : paths_) {
    path->refuse_until = path->hang_until = path->slow_until = path->answer_until = Time{};
    path->storm_until = path->swallow_until = Time{};
  }
  for (std::uint32_t i = 0; i < paths_.size(); ++i) shape_path(i);
  end_scarcity();
  for (auto& [number, client] : carriers_) {
    if (Connection* connection = kernel_.connection(number)) connection->spare();
  }
  if (!server_->running() || server_->leaves()) restart_server();
  server_->agent()->stall(now());
  for (std::uint32_t i = 0; i < clients_.size(); ++i) {
    if (i >= options_.clients) {
      clients_[i]->kill();
      continue;
    }
    if (!clients_[i]->running()) clients_[i]->start();
    clients_[i]->agent()->stall(now());
  }
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

Duration World::transfer_time() const {
  std::uint64_t bytes = 0;
  for (auto& conversation : conversations_) {
    bytes += conversation->sides[0].script.total + conversation->sides[1].script.total;
  }
  Duration time{};
  const Path::Shape& path = options_.path;
  if (path.rate != 0) time = Duration(static_cast<std::int64_t>(bytes * 4 * 1000000 / path.rate));
  std::uint64_t per_trip =
      std::min<std::uint64_t>({options_.max_window, path.send_buffer, path.receive_buffer, 4096});
  per_trip = per_trip / 2 + 1;
  return time + path.delay * static_cast<std::int64_t>(4 * bytes / per_trip);
}

// How long everything may take once nothing is in the way.
Duration World::patience() const {
  return seconds(150) + std::max(options_.grace, options_.service_grace[0]) + transfer_time();
}

bool World::all_ended() const {
  return std::all_of(conversations_.begin(), conversations_.end(), [](const auto& conversation) {
    if (!conversation->started || conversation->excuses.any()) return !conversation->is_open();
    return !conversation->is_open() && conversation->sides[0].ended != 0;
  });
}

// Links live again, nothing held, nobody left over.
bool World::quiet() {
  if (!all_ended() || !server_->running()) return false;
  for (std::uint32_t i = 0; i < options_.clients; ++i) {
    ClientHost& host = *clients_[i];
    if (!host.running() || !lanes_stand(i)) return false;
    if (host.stream_count() != 0 || host.pool().arena.in_use() != 0) return false;
  }
  std::size_t streams = 0;
  std::size_t blocks = 0;
  server_->for_each_link([&](const LinkDriver& driver, const MemoryPool& pool) {
    streams += driver.link().stream_count();
    blocks += pool.arena.in_use();
  });
  return streams == 0 && blocks == 0 && links_are_the_clients();
}

void World::check_quiet() {
  for (std::uint32_t i = 0; i < options_.clients; ++i) {
    ClientHost& host = *clients_[i];
    require(host.running() && lanes_stand(i), "a link is not live again");
    require(host.stream_count() == 0, "a client's records outlive the streams");
    require(host.pool().arena.in_use() == 0, "a client's arena is not empty");
    require(host.pool().streams() == 0, "a client's pool counts streams");
    require(host.pool().send.used() == 0 && host.pool().receive.used() == 0,
            "a client's memory account is not empty");
  }
  require(links_are_the_clients(), "the server keeps a link of nobody");
  server_->for_each_link([](const LinkDriver&, const MemoryPool& pool) {
    require(pool.arena.in_use() == 0, "the server's arena is not empty");
    require(pool.streams() == 0, "the server's pool counts streams");
    require(pool.send.used() == 0 && pool.receive.used() == 0,
            "the server's memory account is not empty");
  });
}

void World::finish() {
  Time deadline = now() + patience();
  while (!quiet() && now() < deadline) run_until(now() + seconds(1));
  for (auto& conversation : conversations_) {
    Excuses& excuses = conversation->excuses;
    excuses.outage_over_grace = excuses.outage_over_grace || outage_over_grace(*conversation);
    conversation->check_end();
    if (conversation->opened && !excuses.any()) totals_.untouched += 1;
  }
  judge();
  require(ended_.empty(), "an end that nothing explains");
  check_quiet();
  // A carrier that went silent before the healing is found by liveness, so that no goodbye is lost.
  run_until(now() + options_.dead_after + options_.grace);
  finished_ = true;
  std::uint64_t links = server_links_;
  for (auto& host : clients_) host->goodbye();
  run_until(now() + seconds(6));
  // A first HELLO that was held back until now makes an empty link, which ends by its grace; and so
  // does one whose goodbye was lost on the way, and sent again too late for who had closed already.
  bool lost = options_.path.loss != 0 && server_->links() != 0;
  if (server_links_ != links || lost) run_until(now() + seconds(200));
  for (auto& host : clients_) require(!host->running(), "a client does not end after goodbye");
  require(server_->links() == 0, "a link outlives its client's goodbye");
  server_->kill();
  totals_.virtual_seconds += static_cast<std::uint64_t>(now().time_since_epoch().count() / 1000000);
}

// --- Events ----------------------------------------------------------------------------------

void World::schedule(Time at, What what, std::uint32_t index, std::uint64_t detail) {
  kernel_.events().push(at, *this, static_cast<std::uint32_t>(what), index, detail);
}

void World::look_at(Time when, const Conversation& conversation, int side) {
  schedule(when, What::look, conversation.index, static_cast<std::uint64_t>(side));
}

void World::on_event(const Event& event) {
  switch (static_cast<What>(event.kind)) {
    case What::start_conversation:
      return start_conversation(*conversations_[event.index]);
    case What::application: {
      Conversation& conversation = *conversations_[event.index];
      int side = static_cast<int>(event.detail & 1);
      if (conversation.sides[side].tick != event.detail >> 1) return;
      return application(conversation, side);
    }
    case What::backend:
      return backend(*conversations_[event.index]);
    case What::fault:
      if (!healed_) apply(options_.faults[event.index]);
      return;
    case What::restart_client:
      if (!finished_ && !clients_[event.index]->running()) clients_[event.index]->start();
      return;
    case What::restart_server:
      if (!server_->running() || (event.detail == 1 && server_->draining())) restart_server();
      return;
    case What::stop_clone:
      return clients_[event.index]->kill();
    case What::shape_path:
      return shape_path(event.index);
    case What::descriptors_come_back:
      return give_descriptors_back(static_cast<int>(event.detail), event.index);
    case What::limit_server:
      return limit_server(static_cast<std::uint32_t>(event.detail));
    case What::name_servers_back:
      return publish_names();
    case What::look:
      return watch_.look(*conversations_[event.index], static_cast<int>(event.detail));
    case What::look_around:
      if (finished_) return;
      watch_.look_around();
      return schedule(now() + seconds(1), What::look_around, 0, 0);
    case What::end_ghost:
      if (Connection* found = kernel_.connection(event.detail)) found->exorcise();
      return;
  }
}

// --- The network -----------------------------------------------------------------------------

void World::connect(Socket& socket, const Address& to) {
  if (to.host == ServerHost::kAddress) {
    std::uint32_t client = static_cast<const Agent&>(socket.process()).client();
    totals_.dials += 1;
    Connection& dialled = kernel_.dial(socket, path(client), to);
    carriers_[dialled.number()] = client;
    return;
  }
  Conversation* conversation = conversation_at(socket.own().host);
  if (conversation == nullptr || to.host != ServerHost::kServices + conversation->script.service) {
    kernel_.blame("a connect to where nobody is");
    return socket.connect_failed(ECONNREFUSED);
  }
  connect_backend(*conversation, socket);
}

void World::established(Connection& connection) {
  totals_.carriers += 1;
  std::uint32_t client = carriers_.at(connection.number());
  if (first_carrier_ == 0) first_carrier_ = connection.number();
  if (options_.tls) connection.record_all();
  const Path& its = path(client);
  if (now() < its.slow_until) connection.hold(Direction::to_server, now() + its.slow);
  if (planned_done_ < planned_.size()) {
    const PlannedCut& planned = planned_[planned_done_++];
    connection.cut_at(planned.to_server ? Direction::to_server : Direction::to_client,
                      planned.offset);
  }
}

void World::struck(Connection& connection) {
  auto found = carriers_.find(connection.number());
  if (found != carriers_.end()) watch_.harm(found->second, now());
}

// What was said on it can be played back; how much the first one carried is the sweep's to know.
void World::gone(Connection& connection) {
  auto found = carriers_.find(connection.number());
  if (found == carriers_.end()) return;
  if (!connection.said().empty() && hellos_.size() < 32) {
    hellos_.push_back({found->second, connection.said()});
  }
  if (connection.number() == first_carrier_) {
    first_bytes_[1] = connection.flow(Direction::to_server).consumed();
    first_bytes_[0] = connection.flow(Direction::to_client).consumed();
  }
  if (connection.was_cut()) totals_.cuts += 1;
  watch_.carrier_gone(found->second, connection);
  carriers_.erase(found);
}

void World::write_trace(const Agent& agent, const LinkId& link,
                        const std::vector<TraceEvent>& events) {
  if (trace_ == nullptr) return;
  std::string name = agent.side() == 1       ? "server"
                     : options_.clients == 1 ? "client"
                                             : clients_[agent.client()]->name();
  for (const TraceEvent& event : events) {
    std::fprintf(trace_, "%s\n", to_json(event, name, link.short_name()).c_str());
  }
}

}  // namespace holdfast::sim
