#include "client-agent/agent.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>
#include <tuple>

#include "client-agent/client_driver.h"
#include "common/agent/activation.h"
#include "common/agent/credentials.h"
#include "common/agent/history_keeper.h"
#include "common/agent/listen_names.h"
#include "common/agent/reload.h"
#include "common/agent/reporting.h"
#include "common/agent/shell.h"
#include "common/cli/cli.h"
#include "common/cli/connect.h"
#include "common/io/secure_random.h"
#include "common/log/units_text.h"

namespace holdfast {
namespace {

// Which of the client's links a server is talking to: the same after a restart, so that the new
// process's link takes the place of the old one's. 0 for the simple form; else the name's FNV-1a
// hash (32 bits; http://www.isthe.com/chongo/tech/comp/fnv), with room for the lanes.
std::uint32_t slot_of(const std::string& link) {
  if (link == kDefaultLinkName) return 0;
  std::uint32_t hash = 2166136261U;
  for (char letter : link) hash = (hash ^ static_cast<unsigned char>(letter)) * 16777619U;
  return hash / kLanesOfALink * kLanesOfALink;
}

LinkOptions link_options(const ClientConfig& config, const std::string& name,
                         std::uint64_t start_id, const MarkKey& mark_key) {
  const ClientLinkConfig& set = config.links.at(name);
  LinkOptions link;
  link.role = LinkOptions::Role::client;
  link.name = config.name;
  link.slot = slot_of(name);
  for (const auto& [service, settings] : config.services) {
    if (settings.link != name) continue;
    link.services.push_back({service, {}});
    link.services.back().by_destination = settings.travel;
  }
  link.heartbeat = set.heartbeat;
  link.dead_after = set.dead_after;
  link.handshake_timeout = set.handshake_timeout;
  link.open_timeout = set.open_timeout;
  link.max_window = set.max_window;
  link.max_streams =
      std::min(static_cast<std::uint32_t>(config.limits.connections), kMostTableEntries);
  link.start_id = start_id;
  link.mark_key = mark_key;
  link.trace = config.log.trace_file.has_value();
  return link;
}

// The mark by which [nft] exclude knows the agent's own traffic; 0: by something else.
std::uint32_t own_mark(const NftConfig& nft) {
  constexpr std::string_view kMark = "mark:";
  for (const std::string& each : nft.exclude) {
    if (!each.starts_with(kMark)) continue;
    return static_cast<std::uint32_t>(std::stoul(each.substr(kMark.size())));
  }
  return 0;
}

ListenMode listen_mode(ServiceMode configured) {
  switch (configured) {
    case ServiceMode::explicit_address:
      return ListenMode::explicit_address;
    case ServiceMode::redirect:
      return ListenMode::redirect;
    case ServiceMode::tproxy:
      return ListenMode::tproxy;
  }
  return ListenMode::explicit_address;
}

ClientService client_service(const std::string& name, const ClientServiceConfig& set,
                             const ListenAddress& listen) {
  ClientService service;
  service.name = name;
  service.link = set.link;
  service.listen = net_address(listen);
  service.mode = listen_mode(set.mode);
  service.match = set.match;
  service.mirror = set.mirror;
  service.freebind = set.freebind;
  service.access = socket_access(set.socket_mode, set.socket_user, set.socket_group);
  if (set.accept_proxy) service.proxy_from = set.accept_proxy_from;
  return service;
}

// Each thread has a lane at least.
LaneRange lane_range(const ClientLinkConfig& link, unsigned threads) {
  auto fixed = static_cast<unsigned>(link.parallel);
  if (fixed != 0) return {fixed, fixed};
  return {std::clamp(threads, 1U, tuning::kMostLanes), tuning::kMostLanes};
}

Result<ClientOptions> client_options(const ClientConfig& config, ClientCredentials& credentials,
                                     std::uint64_t start_id, LoopWatch& loops,
                                     std::size_t descriptors) {
  auto activation = check_activation(config, "");
  if (!activation) return activation.error();
  ClientOptions options;
  options.loops = &loops;
  for (const auto& [name, link] : config.links) {
    ClientLinkOptions& one = options.links.emplace_back();
    one.name = one.group = name;
    one.lanes = lane_range(link, config.threads);
    one.link = link_options(config, name, start_id, loops.key());
    one.loops = &loops;
    for (const auto& [service, set] : config.services) {
      if (set.link != name) continue;
      one.patience[service] = {set.keepalive, set.idle_timeout, set.half_close_timeout};
    }
    for (const TcpAddress& server : link.server) one.servers.push_back(host_port(server));
    one.mark = own_mark(config.nft);
    one.congestion_control = link.congestion_control.value_or("");
    one.mptcp = link.mptcp;
    one.tls = std::move(credentials.tls.at(name));
  }
  for (const auto& [name, service] : config.services) {
    for (const ListenAddress& listen : service.listen) {
      options.services.push_back(client_service(name, service, listen));
    }
  }
  options.memory = config.limits.memory;
  options.connections = static_cast<std::uint32_t>(config.limits.connections);
  options.threads = config.threads;
  options.descriptors = descriptors;
  options.shutdown_timeout = config.shutdown_timeout;
  return options;
}

bool any_plaintext(const ClientConfig& config) {
  return std::any_of(config.links.begin(), config.links.end(),
                     [](const auto& link) { return link.second.unsafe_plaintext; });
}

class ClientAgent final : public Agent, public Reloadable<ClientConfig, ClientCredentials> {
 public:
  ClientAgent(const Around& around, ClientConfig config, CredentialMarks marks,
              CertificateEnds ends, ClientOptions options, std::uint64_t start_id,
              std::unique_ptr<LoopWatch> loops)
      : around_(around),
        config_(std::move(config)),
        marks_(std::move(marks)),
        start_id_(start_id),
        loops_(std::move(loops)),
        driver_(around.loop, std::move(options), around.ledger) {
    facts_ = {AgentKind::client, config_.name,   around.config_path, {},
              around.loop.now(), std::move(ends)};
    note_services();
  }

  Status start() override { return driver_.listen(); }
  Rest rest() override { return driver_.rest(); }
  Loop::Task& task() override { return driver_; }
  History::Reading reading() const override {
    History::Reading reading;
    for_each_link([&](const ClientLink& link) { add_reading(reading, link.driver()); });
    return reading;
  }
  AgentBrief brief() const override {
    AgentBrief brief;
    brief.kind = AgentKind::client;
    brief.draining = driver_.draining();
    for (const ListenFailure& each : driver_.listen_failures()) {
      brief.not_listening.push_back(each.address);
    }
    // A lane beside the first ones is told of only while it holds somebody up.
    std::set<std::string> up;
    for_each_link([&](const ClientLink& link) {
      if (is_first(link) && link.link().live()) up.insert(link.group());
    });
    for_each_link([&](const ClientLink& link) {
      bool live = link.link().live();
      bool extra = !is_first(link);
      if (link.leaving() || (extra && !live && link.link().stream_count() == 0)) return;
      brief.add(link.driver(), around_.loop.now(),
                link.held() ? "held down by an operator" : link.dials().last_error());
      if (extra && live && up.count(link.group()) != 0) brief.live -= 1;
    });
    return brief;
  }
  const std::map<std::string, std::int64_t>& certificates() const override {
    return facts_.certificates;
  }
  void shut_down() override { driver_.shut_down(); }

  Result<AgentSnapshot> snapshot(const SnapshotQuery&) override {
    AgentSnapshot snapshot =
        begin_snapshot(facts_, around_.ledger, around_.logger, around_.loop.now());
    for (const auto& [name, service] : config_.services) {
      ServiceCounters& shown = snapshot.services[name];
      shown.listen = join_address(service);
      // Each connection has a target of its own.
      if (service.travel) shown.target = std::nullopt;
    }
    snapshot.connections_limit = driver_.max_streams();
    snapshot.send_log_limit_bytes = driver_.memory() / 2;
    snapshot.turns = driver_.turns();
    std::map<std::string, std::string> down;  // why, by link of the config; "" for one that is up
    driver_.for_each_link([&](const ClientLink& link, const MemoryPool& pool) {
      add(snapshot, link, pool);
      note_down(down, link, snapshot.links.back());
    });
    for (const auto& [link, why] : down) {
      if (why.empty()) continue;
      if (!snapshot.reason.empty()) snapshot.reason += "; ";
      snapshot.reason += link == kDefaultLinkName ? why : "link " + link + ": " + why;
    }
    sort_links(snapshot.links);
    snapshot.draining = driver_.draining();
    snapshot.ready = !snapshot.draining && snapshot.reason.empty();
    if (snapshot.draining) snapshot.reason = "draining";
    snapshot.listening = driver_.listening();
    for (const ListenFailure& each : driver_.listen_failures()) {
      snapshot.not_listening.push_back({each.address, each.reason});
    }
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
      case Command::Kind::drain:
        if (!driver_.draining()) around_.ledger.draining(brief().connections);
        driver_.drain();
        return {Outcome::done, "draining: no new connections are accepted"};
      case Command::Kind::reconnect:
      case Command::Kind::link_down:
      case Command::Kind::link_up:
        return act_on_links(command);
      case Command::Kind::log_level:
        break;  // the shell's
    }
    return {Outcome::failed, "unknown command"};
  }

  std::unique_ptr<PreparedReload> prepare_reload() override {
    return std::make_unique<Reload<ClientConfig, ClientCredentials>>(
        *this, around_.config_path, around_.logger, around_.ledger);
  }

  const ClientConfig& config() const override { return config_; }
  const CredentialMarks& marks() const override { return marks_; }

  std::uint64_t live(std::string_view section) const override {
    std::uint64_t count = 0;
    for_each_link([&](const ClientLink& link) {
      std::string prefix = link_prefix(link.group());
      bool whole = section == std::string_view(prefix).substr(0, prefix.size() - 1);
      count += count_streams(link.link(), section, whole, around_.loop.now());
    });
    return count;
  }

  Revocation revoked_by(const ClientConfig& config, const ClientCredentials&) const override {
    Revocation revoked;
    for_each_link([&](const ClientLink& link) {
      auto wanted = config.links.find(link.group());
      // A lane that a lower `parallel` takes away, or that goes already, ends as a whole.
      bool stays = wanted != config.links.end() && keeps(link, wanted->second, config.threads);
      if (!stays) {
        revoked.connections += link.link().stream_count();
        return;
      }
      auto gone = [&](const LinkService& each, const StreamSummary&) {
        auto service = config.services.find(each.name);
        return service == config.services.end() || service->second.link != link.group();
      };
      revoked.connections += count_streams(link.link(), around_.loop.now(), gone);
    });
    return revoked;
  }

  Status apply(ClientConfig config, ClientCredentials credentials,
               std::map<std::string, FoundAddresses> names, bool revoke) override {
    if (credentials.any()) protect_memory();
    auto options = client_options(config, credentials, start_id_, *loops_, around_.descriptors);
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
    note_services();
    return Ok{};
  }

 private:
  std::vector<const LinkDriver*> links() const {
    std::vector<const LinkDriver*> all;
    for_each_link([&](const ClientLink& link) { all.push_back(&link.driver()); });
    return all;
  }

  template <typename Visit>
  void for_each_link(Visit visit) const {
    driver_.for_each_link([&](ClientLink& link, const MemoryPool&) { visit(link); });
  }

  // By name, "hub#2" before "hub#10", whichever loops they are on.
  static void sort_links(std::vector<LinkSnapshot>& links) {
    auto key = [](const LinkSnapshot& link) {
      return std::tuple(link.name.substr(0, link.name.find('#')), link.name.size(), link.name);
    };
    std::stable_sort(links.begin(), links.end(),
                     [&](const auto& one, const auto& other) { return key(one) < key(other); });
  }

  void note_services() {
    facts_.services.clear();
    for (const auto& [name, service] : config_.services) facts_.services.push_back(name);
  }

  static bool keeps(const ClientLink& link, const ClientLinkConfig& wanted, unsigned threads) {
    LaneRange lanes = lane_range(wanted, threads);
    return link.lane() < lanes.first || (link.lane() < lanes.most && !link.retiring());
  }

  static bool is_first(const ClientLink& link) { return link.lane() < link.lanes().first; }

  // What keeps a link of the config from being usable, if anything does: one lane is enough.
  static void note_down(std::map<std::string, std::string>& down, const ClientLink& link,
                        const LinkSnapshot& shown) {
    if (shown.silent_for) {
      Duration silent = duration_cast<seconds>(*shown.silent_for);
      down.try_emplace(link.group(), "nothing heard for " + show_duration(silent) + ", dialling");
    } else if (link.link().live() && link.link().barren_carriers() == 0) {
      down[link.group()] = "";
    } else if (!shown.retiring) {
      std::string why = link.held() ? "held down by an operator" : shown.last_error;
      down.try_emplace(link.group(), why.empty() ? "link down" : why);
    }
  }

  void add(AgentSnapshot& snapshot, const ClientLink& link, const MemoryPool& pool) {
    add_link(snapshot, link.driver(), around_.ledger, pool, around_.loop.now());
    LinkSnapshot& shown = snapshot.links.back();
    shown.name = link.name();
    shown.dials = link.dials().count();
    shown.held_down = link.held();
    shown.retiring = link.retiring() || link.leaving();
    bool live = link.link().live() && !link.link().silent();
    if (!live && shown.last_error.empty()) shown.last_error = link.dials().last_error();
  }

  CommandResult act_on_links(const Command& command) {
    using Outcome = CommandResult::Outcome;
    bool all = command.id.empty();
    if (all && config_.links.size() > 1 && command.kind != Command::Kind::reconnect) {
      return {Outcome::failed, "there are several links: say which one"};
    }
    // By one's own name, or a group of parallel ones by that of their config.
    auto meant = [&](const ClientLink& link) {
      return !link.leaving() && (all || link.name() == command.id || link.group() == command.id);
    };
    bool any = false;
    bool all_held = true;
    for_each_link([&](ClientLink& link) {
      if (!meant(link)) return;
      any = true;
      all_held = all_held && link.held();
      if (command.kind == Command::Kind::reconnect) link.reconnect();
      if (command.kind == Command::Kind::link_down) link.hold(true);
      if (command.kind == Command::Kind::link_up) link.hold(false);
    });
    if (!any) return {Outcome::failed, "no link " + command.id};
    if (command.kind == Command::Kind::reconnect && all_held) {
      return {Outcome::failed, "held down by an operator: `link up` lets it dial again"};
    }
    switch (command.kind) {
      case Command::Kind::link_down:
        return {Outcome::done, "held down: connections wait in their grace until `link up`"};
      case Command::Kind::link_up:
        return {Outcome::done, "dialling"};
      default:
        return {Outcome::done, "the carrier was dropped; dialling anew"};
    }
  }

  Around around_;
  ClientConfig config_;
  CredentialMarks marks_;
  std::uint64_t start_id_;
  std::unique_ptr<LoopWatch> loops_;  // outlives the driver
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
  auto credentials = load_credentials(config);
  if (!credentials) return refuse(config_path, credentials.error().message);
  if (credentials->any()) protect_memory();
  std::uint64_t start_id = random_u64();
  auto loops = std::make_unique<LoopWatch>(random_mark_key());
  ShellOptions shell{AgentKind::client,     config.log, config.admin, config_path,
                     any_plaintext(config), warnings};
  auto options = client_options(config, *credentials, start_id, *loops, raise_descriptor_limit());
  if (!options) return refuse(config_path, options.error().message);
  options->names = look_up_listen_names(config);
  auto unused = check_activation(config, config_path);
  if (unused) shell.warnings.insert(shell.warnings.end(), unused->begin(), unused->end());
  return run_shell(shell, [&](const Around& around) {
    return std::make_unique<ClientAgent>(around, config, std::move(credentials->marks),
                                         std::move(credentials->ends), std::move(*options),
                                         start_id, std::move(loops));
  });
}

}  // namespace holdfast
