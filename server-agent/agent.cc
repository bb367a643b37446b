#include "server-agent/agent.h"

#include <algorithm>

#include "common/agent/configured_agent.h"
#include "server-agent/server_driver.h"

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
  link.max_window = config.link.max_window;
  link.max_streams =
      std::min(static_cast<std::uint32_t>(config.limits.connections), kMostTableEntries);
  link.trace = config.log.trace_file.has_value();
  link.home.name = config.link.home.value_or("");
  if (config.link.home_address) link.home.address = to_string(*config.link.home_address);
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
  if (!peer.allow.empty()) policy.services.push_back({kByDestination, config.link.grace});
  policy.max_links = static_cast<std::uint32_t>(peer.links);
  policy.max_streams =
      static_cast<std::uint32_t>(peer.connections.value_or(config.limits.connections));
  if (peer.memory) policy.memory_cap = *peer.memory / 2;
  return policy;
}

std::optional<ProxyVersion> proxy_version(SendProxy configured) {
  switch (configured) {
    case SendProxy::off:
      return std::nullopt;
    case SendProxy::v1:
      return ProxyVersion::v1;
    case SendProxy::v2:
      return ProxyVersion::v2;
  }
  return std::nullopt;
}

// Of its pre-shared key; empty without one.
std::string key_of(const ServerCredentials& credentials, const std::string& client) {
  auto key = credentials.key_ids.find(client);
  return key == credentials.key_ids.end() ? "" : key->second;
}

Result<ServerOptions> server_options(const ServerConfig& config, ServerCredentials& credentials,
                                     std::size_t descriptors) {
  auto activation = check_activation(config, "");
  if (!activation) return activation.error();
  ServerOptions options;
  options.registry.server_name = config.name;
  options.registry.link = link_options(config);
  for (const ListenAddress& each : config.link.listen) {
    options.listen.push_back(net_address(each));
  }
  if (config.link.accept_proxy) options.proxy_from = config.link.accept_proxy_from;
  options.freebind = config.link.freebind;
  options.mptcp = config.link.mptcp;
  for (const auto& [name, peer] : config.clients) {
    ServerClient client;
    client.policy = policy_of(name, peer, config);
    client.grants = {peer.allow, peer.sources};
    if (peer.expires) client.expires_s = peer.expires->epoch_s;
    client.from_source = peer.source == SourceAddress::client;
    client.key_id = key_of(credentials, name);
    options.clients.emplace(name, std::move(client));
  }
  for (const auto& [name, service] : config.services) {
    ServerTarget target;
    target.target = {net_address(service.target), service.connect_timeout};
    target.name = to_string(service.target);
    target.send_proxy = proxy_version(service.send_proxy);
    target.from_source = service.source == SourceAddress::client;
    target.patience = {service.keepalive, service.idle_timeout, service.half_close_timeout};
    if (service.mirror || service.check) target.check_interval = service.check_interval;
    options.services.emplace(name, std::move(target));
  }
  options.tls = std::move(credentials.tls);
  options.congestion_control = config.link.congestion_control.value_or("");
  options.memory = config.limits.memory;
  options.connections = static_cast<std::uint32_t>(config.limits.connections);
  options.threads = config.threads;
  options.descriptors = descriptors;
  options.shutdown_timeout = config.shutdown_timeout;
  return options;
}

// What lives goes on, also where a reload or this config has lowered a limit below it.
void allow_live(ServerOptions& options, const Relics& relics) {
  auto live = relics.connections();
  options.connections = std::max(options.connections, live[""]);
  options.registry.link.max_streams = std::max(options.registry.link.max_streams, live[""]);
  for (auto& [name, client] : options.clients) {
    client.policy.max_streams = std::max(client.policy.max_streams, live[name]);
  }
}

class ServerAgent final
    : public ConfiguredAgent<ServerConfig, ServerCredentials, ServerOptions, ServerDriver> {
 public:
  ServerAgent(const AgentContext& context, ServerConfig config, ServerCredentials credentials,
              ServerOptions options)
      : ConfiguredAgent(AgentKind::server, context, std::move(config), std::move(credentials),
                        std::move(options)) {}

  std::uint64_t live(std::string_view section) const override {
    std::uint64_t count = 0;
    for_each_link([&](const LinkDriver& link) {
      bool whole = section == "clients." + std::string(link.peer());
      count += count_streams(link.link(), section, whole, now());
    });
    return count;
  }

  Revocation revoked_by(const ServerConfig& config,
                        const ServerCredentials& credentials) const override {
    Revocation revoked;
    for_each_link([&](const LinkDriver& link) {
      std::string name(link.peer());
      auto client = config.clients.find(name);
      if (client == config.clients.end()) {
        revoked.connections += link.link().stream_count();
        return;
      }
      StreamGrants grants{client->second.allow, client->second.sources};
      const std::vector<std::string>& granted = client->second.services;
      auto gone = [&](const LinkService& service, const StreamSummary& stream) {
        if (service.name != kByDestination) {
          return std::find(granted.begin(), granted.end(), service.name) == granted.end();
        }
        return check_destination(grants, normalized(stream.destination)) != Cause::none;
      };
      revoked.connections += count_streams(link.link(), now(), gone);
      if (driver().key_of(name) != std::optional(key_of(credentials, name))) revoked.links += 1;
    });
    return revoked;
  }

 protected:
  Result<ServerOptions> options_of(const ServerConfig& config,
                                   ServerCredentials& credentials) const override {
    return server_options(config, credentials, context().descriptors);
  }

  void tell_links(AgentBrief& brief) const override {
    for_each_link([&](const LinkDriver& link) { brief.add(link, now()); });
  }

  void tell_links(AgentSnapshot& snapshot) const override {
    driver().for_each_link([&](const LinkDriver& link, const MemoryPool& pool) {
      add_link(snapshot, link, context().recorder, pool, now());
    });
    std::sort(snapshot.links.begin(), snapshot.links.end(),
              [](const auto& one, const auto& other) { return one.id < other.id; });
    for (const auto& [name, peer] : config().clients) snapshot.peers.push_back(name);
    snapshot.ready = !snapshot.listening.empty() && !snapshot.draining;
    if (!snapshot.ready) snapshot.reason = snapshot.draining ? "draining" : "not listening";
    bool tells_why = !snapshot.ready && !snapshot.draining && !snapshot.not_listening.empty();
    if (tells_why) snapshot.reason = snapshot.not_listening.front().reason;
  }

  CommandResult act_on_links(const Command&) override {
    return {CommandResult::Outcome::failed, "a server does not dial; ask the client's agent"};
  }
};

}  // namespace

int run_server_agent(const ServerConfig& config, const std::string& config_path,
                     const std::vector<Problem>& warnings, const std::vector<ConfigSource>& sources,
                     Page& page) {
  ShellOptions shell{
      AgentKind::server, config.log, config.admin, config_path, config.link.unsafe_plaintext,
      warnings,          &page};
  shell.sources = sources;
  return run_configured(
      config, std::move(shell),
      [&](ServerCredentials& credentials, std::size_t descriptors, Lineage& lineage) {
        auto options = server_options(config, credentials, descriptors);
        if (options) options->make_state = lineage.make_state();
        if (options) options->relics = lineage.relics();
        if (options && lineage.relics() != nullptr) allow_live(*options, *lineage.relics());
        return options;
      },
      [&](const AgentContext& context, ServerCredentials credentials, ServerOptions options) {
        return std::make_unique<ServerAgent>(context, config, std::move(credentials),
                                             std::move(options));
      });
}

}  // namespace holdfast
