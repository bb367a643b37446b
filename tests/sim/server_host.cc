#include "tests/sim/server_host.h"

#include "tests/sim/world.h"

namespace holdfast::sim {
namespace {

Network network(const char* text) {
  auto parsed = parse_network(text);
  require(parsed.ok(), "no network");
  return *parsed;
}

}  // namespace

ServerAgent::ServerAgent(World& world)
    : Agent(world, 1, 0, ServerHost::kAddress, world.options().descriptors) {
  Running running(*this);
  driver_ = std::make_unique<ServerDriver>(loop(), wanted(), *this);
  Status bound = driver_->listen();
  require(bound.ok(), "the server cannot listen");
}

// As its file says now.
ServerOptions ServerAgent::wanted() {
  const Options& wanted = world().options();
  ServerOptions options;
  options.registry.server_name = world().server().name();
  options.registry.link = world().link_options(LinkOptions::Role::server);
  options.listen.push_back(
      HostPort{Address{ServerHost::kAddress, 0}.host_text(), ServerHost::kLinkPort});
  for (std::uint32_t i = 0; i < kMostClients; ++i) {
    ServerClient client;
    client.policy.name = World::name_of_client(i);
    client.policy.services = world().services();
    client.policy.max_streams = world().server_streams();
    // A service's connections come from the application's own address: so the world knows whose
    // they are.
    client.grants.sources = std::vector<Network>{network("10.64.0.0/10")};
    options.clients.emplace(client.policy.name, std::move(client));
  }
  for (std::uint32_t i = 0; i < wanted.services; ++i) {
    ServerTarget target;
    HostPort address = world().target(i);
    target.name = address.host;
    target.target.address = std::move(address);
    target.from_source = true;
    options.services.emplace("service-" + std::to_string(i), std::move(target));
  }
  options.tls = world().server_tls();
  options.memory = wanted.memory;
  options.connections = wanted.max_streams;
  options.descriptors = descriptors();
  return options;
}

void ServerAgent::reload() {
  command([this] {
    if (!driver_->reconfigure(wanted(), false)) world().kernel().blame("a reload was refused");
  });
}

ServerAgent::~ServerAgent() {
  die();
  Running running(*this);
  driver_.reset();
  end_loop();
}

void ServerAgent::check() {
  std::size_t links = 0;
  const MemoryPool* shared = nullptr;
  driver_->for_each_link([&](const LinkDriver& driver, const MemoryPool& pool) {
    driver.link().check_invariants();
    links += 1;
    shared = &pool;
  });
  if (shared != nullptr) check_pool(*shared, links);
}

void ServerHost::start() {
  agent_ = std::make_unique<ServerAgent>(world_);
  leaves_ = false;
  world_.server_starts();
  agent_->begin();
}

void ServerHost::kill() {
  if (!running()) return;
  world_.process_ends(*agent_);
  for_each_link(
      [&](const LinkDriver& driver, const MemoryPool&) { world_.count(driver.link().counters()); });
  agent_.reset();
}

void ServerHost::goodbye() {
  leaves_ = true;
  if (running()) agent_->command([agent = agent_.get()] { agent->driver().shut_down(); });
}

void ServerHost::drain() {
  leaves_ = true;
  if (running()) agent_->command([agent = agent_.get()] { agent->driver().drain(); });
}

void ServerHost::kill_stream(Conversation& conversation) {
  if (!running()) return;
  agent_->command([this, &conversation] {
    std::optional<std::string> name;
    for_each_link([&](const LinkDriver& driver, const MemoryPool&) {
      if (!name) name = World::connection_of(conversation, driver.link(), world_.now());
    });
    if (name && agent_->driver().kill(*name)) conversation.excuses.agent_killed_stream = true;
  });
}

std::size_t ServerHost::links() {
  std::size_t count = 0;
  for_each_link([&](const LinkDriver&, const MemoryPool&) { count += 1; });
  return count;
}

}  // namespace holdfast::sim
