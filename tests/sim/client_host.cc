#include "tests/sim/client_host.h"

#include <algorithm>

#include "tests/sim/encryption.h"
#include "tests/sim/world.h"

namespace holdfast::sim {

ClientAgent::ClientAgent(World& world, std::uint32_t client, const std::string& name,
                         std::uint32_t host)
    : Agent(world, 0, client, host, world.options().descriptors) {
  const Options& wanted = world.options();
  ClientOptions options;
  ClientLinkOptions& link = options.links.emplace_back();
  link.name = link.group = "home";
  link.link = world.link_options(LinkOptions::Role::client);
  link.link.name = name;
  link.link.services = world.services();
  link.link.start_id = world.kernel().random().next();
  link.servers = world.servers();
  link.lanes = {wanted.first_lanes, wanted.lanes};
  link.tls = world.client_tls(name);
  ClientHost& self = world.client(client);
  for (std::uint16_t i = 0; i < wanted.services; ++i) {
    ClientService& service = options.services.emplace_back();
    service.name = link.link.services[i].name;
    service.link = link.group;
    Address listener = self.listener(i);
    service.listen = HostPort{listener.host_text(), listener.port};
  }
  options.memory = wanted.memory;
  options.connections = wanted.max_streams;
  options.descriptors = descriptors();
  Running running(*this);
  driver_ = std::make_unique<ClientDriver>(loop(), std::move(options), *this);
  Status bound = driver_->listen();
  require(bound.ok(), "a client cannot listen");
}

ClientAgent::~ClientAgent() {
  die();
  Running running(*this);
  driver_.reset();
  end_loop();
}

ClientLink& ClientAgent::link() {
  ClientLink* found = nullptr;
  driver_->for_each_link([&](ClientLink& link, const MemoryPool&) {
    // Lane 0, or the one in its place where another server has answered.
    if (found == nullptr || link.lane() < found->lane()) found = &link;
  });
  require(found != nullptr, "a client without its link");
  return *found;
}

std::vector<ClientLink*> ClientAgent::lanes() {
  std::vector<ClientLink*> all;
  driver_->for_each_link([&](ClientLink& link, const MemoryPool&) { all.push_back(&link); });
  return all;
}

const MemoryPool& ClientAgent::pool() {
  const MemoryPool* found = nullptr;
  driver_->for_each_link([&](ClientLink&, const MemoryPool& pool) { found = &pool; });
  require(found != nullptr, "a client without its link");
  return *found;
}

void ClientAgent::check() {
  std::vector<ClientLink*> all = lanes();
  for (ClientLink* lane : all) lane->link().check_invariants();
  if (!all.empty()) check_pool(pool(), all.size());
}

void ClientHost::start() {
  agent_ = std::make_unique<ClientAgent>(world_, index_, name_, address());
  world_.new_link(index_);
  world_.watch().enter(index_);
  if (world_.now() != Time{}) world_.watch().harm(index_, world_.now());
  agent_->begin();
}

void ClientHost::kill() {
  if (!running()) return;
  world_.process_ends(*agent_);
  for (ClientLink* lane : agent_->lanes()) world_.count(lane->link().counters());
  agent_.reset();
}

void ClientHost::goodbye() {
  if (running()) agent_->command([agent = agent_.get()] { agent->driver().shut_down(); });
}

void ClientHost::reconnect() {
  if (!running()) return;
  agent_->command([agent = agent_.get()] {
    for (ClientLink* lane : agent->lanes()) lane->reconnect();
  });
}

bool ClientHost::has(const LinkId& link) {
  std::vector<ClientLink*> lanes = agent_->lanes();
  return std::any_of(lanes.begin(), lanes.end(),
                     [&](ClientLink* lane) { return lane->link().id() == link; });
}

std::size_t ClientHost::stream_count() {
  std::size_t count = 0;
  for (ClientLink* lane : agent_->lanes()) count += lane->link().stream_count();
  return count;
}

std::vector<const Link*> ClientHost::links() {
  std::vector<const Link*> all;
  if (!running()) return all;
  for (ClientLink* lane : agent_->lanes()) all.push_back(&lane->link());
  return all;
}

const Link* ClientHost::link_of(const Conversation& conversation) {
  for (const Link* link : links()) {
    if (World::connection_of(conversation, *link, world_.now())) return link;
  }
  return nullptr;
}

void ClientHost::network_changed() {
  if (running()) agent_->tell_network_changed();
}

void ClientHost::kill_stream(Conversation& conversation) {
  if (!running()) return;
  agent_->command([this, &conversation] {
    std::optional<std::string> name;
    for (ClientLink* lane : agent_->lanes()) {
      if (!name) name = World::connection_of(conversation, lane->link(), world_.now());
    }
    if (name && agent_->driver().kill(*name)) conversation.excuses.agent_killed_stream = true;
  });
}

}  // namespace holdfast::sim
