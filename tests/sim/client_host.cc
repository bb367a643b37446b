#include "tests/sim/client_host.h"

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
  driver_->for_each_link([&](ClientLink& link, const MemoryPool&) { found = &link; });
  require(found != nullptr, "a client without its link");
  return *found;
}

const MemoryPool& ClientAgent::pool() {
  const MemoryPool* found = nullptr;
  driver_->for_each_link([&](ClientLink&, const MemoryPool& pool) { found = &pool; });
  require(found != nullptr, "a client without its link");
  return *found;
}

void ClientAgent::check() {
  std::size_t links = 0;
  const MemoryPool* shared = nullptr;
  driver_->for_each_link([&](ClientLink& link, const MemoryPool& pool) {
    link.link().check_invariants();
    links += 1;
    shared = &pool;
  });
  if (shared != nullptr) check_pool(*shared, links);
}

void ClientHost::start() {
  agent_ = std::make_unique<ClientAgent>(world_, index_, name_, address());
  world_.new_link(index_);
  agent_->begin();
}

void ClientHost::kill() {
  if (!running()) return;
  world_.process_ends(*agent_);
  world_.count(link().counters());
  agent_.reset();
}

void ClientHost::goodbye() {
  if (running()) agent_->command([agent = agent_.get()] { agent->driver().shut_down(); });
}

void ClientHost::reconnect() {
  if (running()) agent_->command([agent = agent_.get()] { agent->link().reconnect(); });
}

void ClientHost::network_changed() {
  if (running()) agent_->tell_network_changed();
}

void ClientHost::kill_stream(Conversation& conversation) {
  if (!running()) return;
  agent_->command([this, &conversation] {
    auto name = World::connection_of(conversation, link(), world_.now());
    if (name && agent_->driver().kill(*name)) conversation.excuses.agent_killed_stream = true;
  });
}

}  // namespace holdfast::sim
