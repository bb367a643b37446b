#include "client-agent/agent.h"

#include <cstdio>

#include "common/admin/cli.h"
#include "common/agent/credentials.h"
#include "common/agent/history_keeper.h"
#include "common/agent/reporting.h"
#include "common/agent/shell.h"
#include "common/net/client_driver.h"
#include "common/net/secure_random.h"

namespace holdfast {
namespace {

// More than one are refused before.
const ClientLinkConfig& only_link(const ClientConfig& config) {
  return config.links.begin()->second;
}

LinkOptions link_options(const ClientConfig& config) {
  const ClientLinkConfig& set = only_link(config);
  LinkOptions link;
  link.role = LinkOptions::Role::client;
  link.name = config.name;
  for (const auto& [name, service] : config.services) link.services.push_back({name, {}});
  link.heartbeat = set.heartbeat;
  link.dead_after = set.dead_after;
  link.handshake_timeout = set.handshake_timeout;
  link.open_timeout = set.open_timeout;
  link.max_window = set.max_window;
  link.max_streams = static_cast<std::uint32_t>(config.limits.connections);
  link.start_id = random_u64();
  link.trace = config.log.trace_file.has_value();
  return link;
}

ClientOptions client_options(const ClientConfig& config, std::vector<NetAddress> listen,
                             TransportFactory transport, std::size_t descriptors) {
  ClientOptions options;
  options.link = link_options(config);
  options.listen = std::move(listen);
  for (const TcpAddress& server : only_link(config).server) {
    options.dial.servers.push_back(host_port(server));
  }
  options.dial.transport = std::move(transport);
  options.dial.handshake_timeout = only_link(config).handshake_timeout;
  options.memory = config.limits.memory;
  options.connections = static_cast<std::uint32_t>(config.limits.connections);
  options.descriptors = descriptors;
  options.shutdown_timeout = config.shutdown_timeout;
  return options;
}

class ClientAgent final : public Agent {
 public:
  ClientAgent(const Around& around, const ClientConfig& config, std::vector<NetAddress> listen,
              TransportFactory transport)
      : around_(around),
        driver_(around.loop,
                client_options(config, std::move(listen), std::move(transport), around.descriptors),
                around.ledger) {
    facts_ = {AgentKind::client, config.name, around.config_path, {}, around.loop.now()};
    for (const auto& [name, service] : config.services) facts_.services.push_back(name);
  }

  Status start() override { return driver_.listen(); }
  Loop::Task& task() override { return driver_; }
  History::Reading reading() const override {
    History::Reading reading;
    add_reading(reading, driver_.link());
    return reading;
  }
  void shut_down() override { driver_.shut_down(); }

  Result<AgentSnapshot> snapshot(const SnapshotQuery& query) override {
    AgentSnapshot snapshot =
        begin_snapshot(facts_, around_.ledger, around_.logger, driver_.pool(), around_.loop.now());
    const Link& link = driver_.link().link();
    add_link(snapshot, driver_.link(), around_.ledger, driver_.pool(), query, around_.loop.now());
    snapshot.links.front().dials = driver_.dials().count();
    if (!link.live() && snapshot.links.front().last_error.empty()) {
      snapshot.links.front().last_error = driver_.dials().last_error();
    }
    snapshot.draining = driver_.draining();
    snapshot.ready = link.live() && !snapshot.draining;
    if (!snapshot.ready) {
      snapshot.reason = snapshot.draining ? "draining" : snapshot.links.front().last_error;
    }
    for (const auto& listener : driver_.listeners()) snapshot.listening.push_back(listener->name());
    return snapshot;
  }

  CommandResult command(const Command& command) override {
    using Outcome = CommandResult::Outcome;
    switch (command.kind) {
      case Command::Kind::kill:
        if (!driver_.kill(command.id)) return {Outcome::failed, "no connection " + command.id};
        return {Outcome::done, "killed " + command.id};
      case Command::Kind::reconnect:
        driver_.reconnect();
        return {Outcome::done, "the carrier was dropped; dialling anew"};
      case Command::Kind::drain:
        driver_.drain();
        return {Outcome::done, "draining: no new connections are accepted"};
    }
    return {Outcome::failed, "unknown command"};
  }

 private:
  Around around_;
  AgentFacts facts_;
  ClientDriver driver_;
};

int refuse(const std::string& path, const std::string& reason) {
  std::fprintf(stderr, "%s: %s\n", path.c_str(), reason.c_str());
  return kExitConfig;
}

}  // namespace

int run_client_agent(const ClientConfig& config, const std::string& config_path,
                     const std::vector<Problem>& warnings) {
  if (config.links.size() != 1) {
    return refuse(config_path, "several links are not available yet (keep one [links.NAME])");
  }
  auto tls = client_tls(config.name, only_link(config));
  if (!tls) return refuse(config_path, tls.error().message);
  if (*tls != nullptr) protect_memory();
  std::vector<NetAddress> listen;
  for (const auto& [name, service] : config.services) {
    auto address = net_address(service.listen);
    if (!address) return refuse(config_path, address.error().message);
    listen.push_back(*address);
  }
  ShellOptions shell{
      AgentKind::client, config.log, config.admin, config_path, only_link(config).unsafe_plaintext,
      warnings};
  return run_shell(shell, [&](const Around& around) {
    return std::make_unique<ClientAgent>(around, config, listen, transport_factory(*tls));
  });
}

}  // namespace holdfast
