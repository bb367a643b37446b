#include "server-agent/agent.h"

#include <cstdio>

#include "common/admin/cli.h"
#include "common/agent/credentials.h"
#include "common/agent/history_keeper.h"
#include "common/agent/reporting.h"
#include "common/agent/shell.h"
#include "common/net/secure_random.h"
#include "common/net/server_driver.h"

namespace holdfast {
namespace {

LinkOptions link_options(const ServerConfig& config) {
  LinkOptions link;
  link.role = LinkOptions::Role::server;
  link.name = config.name;
  link.grace = config.link.grace;
  link.heartbeat = config.link.heartbeat.value_or(kDefaultHeartbeat);
  link.dead_after = config.link.dead_after.value_or(kDefaultDeadAfter);
  link.announce_liveness = config.link.heartbeat || config.link.dead_after;
  link.handshake_timeout = config.link.handshake_timeout;
  link.open_timeout = config.link.open_timeout;
  link.max_window = config.link.max_window;
  link.max_streams = static_cast<std::uint32_t>(config.limits.connections);
  link.trace = config.log.trace_file.has_value();
  return link;
}

ClientPolicy policy_of(const std::string& name, const PeerConfig& peer,
                       const ServerConfig& config) {
  ClientPolicy policy;
  policy.name = name;
  for (const std::string& service : peer.services) {
    const ServerServiceConfig& known = config.services.at(service);
    policy.services.push_back({service, known.grace.value_or(config.link.grace)});
  }
  if (peer.links) policy.max_links = static_cast<std::uint32_t>(*peer.links);
  policy.max_streams =
      static_cast<std::uint32_t>(peer.connections.value_or(config.limits.connections));
  if (peer.memory) policy.memory_cap = *peer.memory / 2;
  return policy;
}

ServerOptions server_options(const ServerConfig& config, std::vector<NetAddress> listen,
                             TransportFactory transport, std::size_t descriptors) {
  ServerOptions options;
  options.registry.server_name = config.name;
  options.registry.link = link_options(config);
  options.listen = std::move(listen);
  for (const auto& [name, peer] : config.clients) {
    options.clients.emplace(name, policy_of(name, peer, config));
  }
  for (const auto& [name, service] : config.services) {
    ServerTarget target;
    target.target = {net_address(service.target), service.connect_timeout};
    target.name = to_string(service.target);
    options.services.emplace(name, std::move(target));
  }
  options.transport = std::move(transport);
  options.authenticated = !config.link.unsafe_plaintext;
  options.memory = config.limits.memory;
  options.connections = static_cast<std::uint32_t>(config.limits.connections);
  options.descriptors = descriptors;
  options.shutdown_timeout = config.shutdown_timeout;
  return options;
}

class ServerAgent final : public Agent {
 public:
  ServerAgent(const Around& around, const ServerConfig& config, std::vector<NetAddress> listen,
              TransportFactory transport)
      : around_(around),
        driver_(around.loop,
                server_options(config, std::move(listen), std::move(transport), around.descriptors),
                around.ledger) {
    facts_ = {AgentKind::server, config.name, around.config_path, {}, around.loop.now()};
    for (const auto& [name, service] : config.services) facts_.services.push_back(name);
    for (const auto& [name, peer] : config.clients) clients_.push_back(name);
  }

  Status start() override { return driver_.listen(); }
  Loop::Task& task() override { return driver_; }
  History::Reading reading() const override {
    History::Reading reading;
    driver_.for_each_link([&](const LinkDriver& link) { add_reading(reading, link); });
    return reading;
  }
  void shut_down() override { driver_.shut_down(); }

  Result<AgentSnapshot> snapshot(const SnapshotQuery& query) override {
    AgentSnapshot snapshot =
        begin_snapshot(facts_, around_.ledger, around_.logger, driver_.pool(), around_.loop.now());
    if (query.connections) snapshot.connections.emplace();
    driver_.for_each_link([&](const LinkDriver& link) {
      add_link(snapshot, link, around_.ledger, driver_.pool(), query, around_.loop.now());
    });
    snapshot.peers = clients_;
    for (const auto& listener : driver_.listeners()) snapshot.listening.push_back(listener->name());
    snapshot.draining = driver_.draining();
    snapshot.ready = !snapshot.listening.empty() && !snapshot.draining;
    if (!snapshot.ready) snapshot.reason = snapshot.draining ? "draining" : "not listening";
    return snapshot;
  }

  CommandResult command(const Command& command) override {
    using Outcome = CommandResult::Outcome;
    switch (command.kind) {
      case Command::Kind::kill:
        if (!driver_.kill(command.id)) return {Outcome::failed, "no connection " + command.id};
        return {Outcome::done, "killed " + command.id};
      case Command::Kind::reconnect:
        return {Outcome::failed, "a server does not dial; reconnect at the client"};
      case Command::Kind::drain:
        driver_.drain();
        return {Outcome::done, "draining: no new connections are accepted"};
    }
    return {Outcome::failed, "unknown command"};
  }

 private:
  Around around_;
  AgentFacts facts_;
  std::vector<std::string> clients_;
  ServerDriver driver_;
};

int refuse(const std::string& path, const std::string& reason) {
  std::fprintf(stderr, "%s: %s\n", path.c_str(), reason.c_str());
  return kExitConfig;
}

}  // namespace

int run_server_agent(const ServerConfig& config, const std::string& config_path,
                     const std::vector<Problem>& warnings) {
  auto tls = server_tls(config);
  if (!tls) return refuse(config_path, tls.error().message);
  if (*tls != nullptr) protect_memory();
  std::vector<NetAddress> listen;
  for (const ListenAddress& each : config.link.listen) {
    auto address = net_address(each);
    if (!address) return refuse(config_path, address.error().message);
    listen.push_back(*address);
  }
  ShellOptions shell{
      AgentKind::server, config.log, config.admin, config_path, config.link.unsafe_plaintext,
      warnings};
  return run_shell(shell, [&](const Around& around) {
    return std::make_unique<ServerAgent>(around, config, listen, transport_factory(*tls));
  });
}

}  // namespace holdfast
