#include "server-agent/agent.h"

#include <algorithm>
#include <cstdio>

#include "common/agent/activation.h"
#include "common/agent/credentials.h"
#include "common/agent/history_keeper.h"
#include "common/agent/listen_names.h"
#include "common/agent/reload.h"
#include "common/agent/reporting.h"
#include "common/agent/shell.h"
#include "common/cli/cli.h"
#include "common/io/secure_random.h"
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

class ServerAgent final : public Agent, public Reloadable<ServerConfig, ServerCredentials> {
 public:
  ServerAgent(const Around& around, ServerConfig config, CredentialMarks marks,
              CertificateEnds ends, ServerOptions options)
      : around_(around),
        config_(std::move(config)),
        marks_(std::move(marks)),
        driver_(around.loop, std::move(options), around.ledger) {
    facts_ = {AgentKind::server, config_.name,   around.config_path, {},
              around.loop.now(), std::move(ends)};
    note_names();
  }

  Status start() override { return driver_.listen(); }
  Rest rest() override { return driver_.rest(); }
  Loop::Task& task() override { return driver_; }
  History::Reading reading() const override {
    History::Reading reading;
    for_each_link([&](const LinkDriver& link) { add_reading(reading, link); });
    return reading;
  }
  AgentBrief brief() const override {
    AgentBrief brief;
    brief.kind = AgentKind::server;
    brief.draining = driver_.draining();
    for (const ListenFailure& each : driver_.listen_failures()) {
      brief.not_listening.push_back(each.address);
    }
    for_each_link([&](const LinkDriver& link) { brief.add(link, around_.loop.now()); });
    return brief;
  }
  const std::map<std::string, std::int64_t>& certificates() const override {
    return facts_.certificates;
  }
  void shut_down() override { driver_.shut_down(); }

  Result<AgentSnapshot> snapshot(const SnapshotQuery&) override {
    AgentSnapshot snapshot =
        begin_snapshot(facts_, around_.ledger, around_.logger, around_.loop.now());
    snapshot.connections_limit = driver_.max_streams();
    snapshot.send_log_limit_bytes = driver_.memory() / 2;
    snapshot.turns = driver_.turns();
    driver_.for_each_link([&](const LinkDriver& link, const MemoryPool& pool) {
      add_link(snapshot, link, around_.ledger, pool, around_.loop.now());
    });
    std::sort(snapshot.links.begin(), snapshot.links.end(),
              [](const auto& one, const auto& other) { return one.id < other.id; });
    snapshot.peers = clients_;
    snapshot.listening = driver_.listening();
    for (const ListenFailure& each : driver_.listen_failures()) {
      snapshot.not_listening.push_back({each.address, each.reason});
    }
    snapshot.draining = driver_.draining();
    snapshot.ready = !snapshot.listening.empty() && !snapshot.draining;
    if (!snapshot.ready) snapshot.reason = snapshot.draining ? "draining" : "not listening";
    bool tells_why = !snapshot.ready && !snapshot.draining && !snapshot.not_listening.empty();
    if (tells_why) snapshot.reason = snapshot.not_listening.front().reason;
    return snapshot;
  }

  ConnectionPage connections(const ConnectionCursor& from) override {
    return page_of(links(), from, around_.loop.now());
  }

  Result<std::optional<ConnectionSnapshot>> connection(const std::string& id) override {
    return find_connection(links(), id, around_.loop.now());
  }

  CommandResult command(const Command& command) override {
    using Outcome = CommandResult::Outcome;
    switch (command.kind) {
      case Command::Kind::kill:
        if (!driver_.kill(command.id)) return {Outcome::failed, "no connection " + command.id};
        return {Outcome::done, "killed " + command.id};
      case Command::Kind::reconnect:
      case Command::Kind::link_down:
      case Command::Kind::link_up:
        return {Outcome::failed, "a server does not dial; ask the client's agent"};
      case Command::Kind::drain:
        if (!driver_.draining()) around_.ledger.draining(brief().connections);
        driver_.drain();
        return {Outcome::done, "draining: no new connections are accepted"};
      case Command::Kind::log_level:
        break;  // the shell's
    }
    return {Outcome::failed, "unknown command"};
  }

  std::unique_ptr<PreparedReload> prepare_reload() override {
    return std::make_unique<Reload<ServerConfig, ServerCredentials>>(
        *this, around_.config_path, around_.logger, around_.ledger);
  }

  const ServerConfig& config() const override { return config_; }
  const CredentialMarks& marks() const override { return marks_; }

  std::uint64_t live(std::string_view section) const override {
    std::uint64_t count = 0;
    for_each_link([&](const LinkDriver& link) {
      bool whole = section == "clients." + std::string(link.peer());
      count += count_streams(link.link(), section, whole, around_.loop.now());
    });
    return count;
  }

  Revocation revoked_by(const ServerConfig& config,
                        const ServerCredentials& credentials) const override {
    Revocation revoked;
    for_each_link([&](const LinkDriver& driver) {
      std::string name(driver.peer());
      auto client = config.clients.find(name);
      if (client == config.clients.end()) {
        revoked.connections += driver.link().stream_count();
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
      revoked.connections += count_streams(driver.link(), around_.loop.now(), gone);
      if (driver_.key_of(name) != std::optional(key_of(credentials, name))) revoked.links += 1;
    });
    return revoked;
  }

  Status apply(ServerConfig config, ServerCredentials credentials,
               std::map<std::string, FoundAddresses> names, bool revoke) override {
    if (credentials.any()) protect_memory();
    auto options = server_options(config, credentials, around_.descriptors);
    if (!options) return options.error();
    options->names = std::move(names);
    if (Status done = around_.admin.set_access(config.admin); !done) return done;
    if (Status done = driver_.reconfigure(std::move(*options), revoke); !done) {
      (void)around_.admin.set_access(config_.admin);
      return done;
    }
    // A level set at run time stays, unless the file's own changed.
    if (config.log.level != config_.log.level) around_.logger.set_level(config.log.level);
    around_.logger.set_connection_lines(config.log.connection_lines);
    around_.files.reopen();
    config_ = std::move(config);
    marks_ = std::move(credentials.marks);
    facts_.certificates = std::move(credentials.ends);
    note_names();
    return Ok{};
  }

 private:
  void note_names() {
    facts_.services.clear();
    for (const auto& [name, service] : config_.services) facts_.services.push_back(name);
    clients_.clear();
    for (const auto& [name, peer] : config_.clients) clients_.push_back(name);
  }

  std::vector<const LinkDriver*> links() const {
    std::vector<const LinkDriver*> all;
    for_each_link([&](const LinkDriver& link) { all.push_back(&link); });
    return all;
  }

  template <typename Visit>
  void for_each_link(Visit visit) const {
    driver_.for_each_link([&](const LinkDriver& link, const MemoryPool&) { visit(link); });
  }

  Around around_;
  ServerConfig config_;
  CredentialMarks marks_;
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
  auto credentials = load_credentials(config);
  if (!credentials) return refuse(config_path, credentials.error().message);
  if (credentials->any()) protect_memory();
  auto options = server_options(config, *credentials, raise_descriptor_limit());
  if (!options) return refuse(config_path, options.error().message);
  options->names = look_up_listen_names(config);
  ShellOptions shell{
      AgentKind::server, config.log, config.admin, config_path, config.link.unsafe_plaintext,
      warnings};
  auto unused = check_activation(config, config_path);
  if (unused) shell.warnings.insert(shell.warnings.end(), unused->begin(), unused->end());
  return run_shell(shell, [&](const Around& around) {
    return std::make_unique<ServerAgent>(around, config, std::move(credentials->marks),
                                         std::move(credentials->ends), std::move(*options));
  });
}

}  // namespace holdfast
