#include "client-agent/agent.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "client-agent/client_driver.h"
#include "common/agent/configured_agent.h"
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
    one.begin = link.balance == Balance::random ? Dialer::Begin::anywhere : Dialer::Begin::first;
    one.names_home = link.sni != kNoSni && !link.unsafe_plaintext;
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

// What lives goes on, also where this config has lowered the limit below it.
void allow_live(ClientOptions& options, const Relics& relics) {
  std::uint32_t live = relics.connections()[""];
  options.connections = std::max(options.connections, live);
  for (ClientLinkOptions& each : options.links) {
    each.link.max_streams = std::max(each.link.max_streams, live);
  }
}

bool any_plaintext(const ClientConfig& config) {
  return std::any_of(config.links.begin(), config.links.end(),
                     [](const auto& link) { return link.second.unsafe_plaintext; });
}

class ClientAgent final
    : public ConfiguredAgent<ClientConfig, ClientCredentials, ClientOptions, ClientDriver> {
 public:
  // `loops` outlives it.
  ClientAgent(const AgentContext& context, ClientConfig config, ClientCredentials credentials,
              ClientOptions options, std::uint64_t start_id, LoopWatch& loops)
      : ConfiguredAgent(AgentKind::client, context, std::move(config), std::move(credentials),
                        std::move(options)),
        start_id_(start_id),
        loops_(loops) {}

  std::uint64_t live(std::string_view section) const override {
    std::uint64_t count = 0;
    for_each_link([&](const ClientLink& link) {
      std::string prefix = link_prefix(link.group());
      bool whole = section == std::string_view(prefix).substr(0, prefix.size() - 1);
      count += count_streams(link.link(), section, whole, now());
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
      revoked.connections += count_streams(link.link(), now(), gone);
    });
    return revoked;
  }

 protected:
  Result<ClientOptions> options_of(const ClientConfig& config,
                                   ClientCredentials& credentials) const override {
    return client_options(config, credentials, start_id_, loops_, context().descriptors);
  }

  void tell_links(AgentBrief& brief) const override {
    // A lane beside the first ones is told of only while it holds somebody up.
    std::set<std::string> up;
    for_each_link([&](const ClientLink& link) {
      if (is_first(link) && link.link().live()) up.insert(link.group());
    });
    for_each_link([&](const ClientLink& link) {
      bool live = link.link().live();
      bool extra = !is_first(link);
      if (link.leaving() || (extra && !live && link.link().stream_count() == 0)) return;
      brief.add(link.driver(), now(),
                link.held() ? "held down by an operator" : link.dials().last_error());
      if (extra && live && up.count(link.group()) != 0) brief.live -= 1;
    });
  }

  void tell_links(AgentSnapshot& snapshot) const override {
    for (const auto& [name, service] : config().services) {
      ServiceCounters& shown = snapshot.services[name];
      shown.listen = join_address(service);
      // Each connection has a target of its own.
      if (service.travel) shown.target = std::nullopt;
    }
    std::map<std::string, std::string> down;  // why, by link of the config; "" for one that is up
    driver().for_each_link([&](const ClientLink& link, const MemoryPool& pool) {
      add(snapshot, link, pool);
      note_down(down, link, snapshot.links.back());
    });
    for (const auto& [link, why] : down) {
      if (why.empty()) continue;
      if (!snapshot.reason.empty()) snapshot.reason += "; ";
      snapshot.reason += link == kDefaultLinkName ? why : "link " + link + ": " + why;
    }
    sort_links(snapshot.links);
    snapshot.ready = !snapshot.draining && snapshot.reason.empty();
    if (snapshot.draining) snapshot.reason = "draining";
  }

  CommandResult act_on_links(const Command& command) override {
    using Outcome = CommandResult::Outcome;
    bool all = command.id.empty();
    if (all && config().links.size() > 1 && command.kind != Command::Kind::reconnect) {
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
      if (command.kind == Command::Kind::link_down) link.hold_down();
      if (command.kind == Command::Kind::link_up) link.let_up();
    });
    if (!any) return {Outcome::failed, "no link " + command.id};
    keep_held();
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

  void go_on_holding(const std::vector<std::string>& names) override {
    for_each_link([&](ClientLink& link) {
      if (std::find(names.begin(), names.end(), link.name()) != names.end()) link.hold_down();
    });
    keep_held();
  }

 private:
  void keep_held() {
    std::vector<std::string> names;
    for_each_link([&](const ClientLink& link) {
      if (link.held()) names.push_back(link.name());
    });
    context().lineage.keep_held_down(names);
  }

  // By name, "hub#2" before "hub#10", whichever loops they are on.
  static void sort_links(std::vector<LinkSnapshot>& links) {
    auto key = [](const LinkSnapshot& link) {
      return std::tuple(link.name.substr(0, link.name.find('#')), link.name.size(), link.name);
    };
    std::stable_sort(links.begin(), links.end(),
                     [&](const auto& one, const auto& other) { return key(one) < key(other); });
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

  void add(AgentSnapshot& snapshot, const ClientLink& link, const MemoryPool& pool) const {
    add_link(snapshot, link.driver(), context().recorder, pool, now());
    LinkSnapshot& shown = snapshot.links.back();
    shown.name = link.name();
    shown.dials = link.dials().count();
    shown.held_down = link.held();
    shown.retiring = link.retiring() || link.leaving();
    bool live = link.link().live() && !link.link().silent();
    if (!live && shown.last_error.empty()) shown.last_error = link.dials().last_error();
  }

  std::uint64_t start_id_;
  LoopWatch& loops_;
};

}  // namespace

int run_client_agent(const ClientConfig& config, const std::string& config_path,
                     const std::vector<Problem>& warnings, const std::vector<ConfigSource>& sources,
                     Page& page) {
  LoopWatch loops(random_mark_key());
  ShellOptions shell{AgentKind::client,     config.log, config.admin, config_path,
                     any_plaintext(config), warnings,   &page};
  shell.sources = sources;
  return run_configured(
      config, std::move(shell),
      [&](ClientCredentials& credentials, std::size_t descriptors, Lineage& lineage) {
        auto options = client_options(config, credentials, lineage.start_id(), loops, descriptors);
        if (options) options->make_state = lineage.make_state();
        if (options) options->relics = lineage.relics();
        if (options && lineage.relics() != nullptr) allow_live(*options, *lineage.relics());
        return options;
      },
      [&](const AgentContext& context, ClientCredentials credentials, ClientOptions options) {
        return std::make_unique<ClientAgent>(context, config, std::move(credentials),
                                             std::move(options), context.lineage.start_id(), loops);
      });
}

}  // namespace holdfast
