#include <unistd.h>

#include <algorithm>
#include <array>

#include "common/config/load_internal.h"
#include "common/config/nearest.h"
#include "common/config/units.h"

namespace holdfast {
namespace {

constexpr CountRange kLinksRange = {1, 256};
// A client's share may be smaller than an agent's whole memory.
constexpr SizeRange kShareRange = {kMiB, kMemoryRange.most};

void read_listen(TableReader& link, const Loading& loading, Listeners& listeners,
                 std::vector<ListenAddress>& out) {
  link.require("listen", "where client agents connect, as in listen = [\"0.0.0.0:7443\"]");
  std::vector<TextItem> items;
  const auto place = link.texts("listen", TableReader::Single::accepted, items);
  if (place && items.empty()) {
    loading.report.error(*place, "no address stands in it", "write at least one host:port");
  }
  for (const TextItem& item : items) {
    const Result<ListenAddress> address = parse_listen_address(item.text);
    if (!address.ok()) {
      loading.report.error(item.place, address.error().message);
    } else if (std::holds_alternative<UnixAddress>(*address)) {
      loading.report.error(item.place, "a link runs over TCP, not over a Unix socket",
                           "write host:port");
    } else {
      listeners.add(*address, item.place, loading.report);
      out.push_back(*address);
    }
  }
}

ServerLinkConfig read_link(TableReader& link, const Loading& loading, const LimitsConfig& limits,
                           Listeners& listeners) {
  ServerLinkConfig out;
  read_listen(link, loading, listeners, out.listen);
  link.duration("grace", kGraceRange, out.grace);
  if (const auto place = link.boolean("unsafe_plaintext", out.unsafe_plaintext);
      place && out.unsafe_plaintext) {
    warn_of_plaintext(*place, loading);
  }
  out.tls = read_tls(link.table("tls"), loading, Side::server);
  Liveness liveness{};
  liveness.heartbeat_place = link.duration("heartbeat", kHeartbeatRange, out.heartbeat);
  liveness.dead_after_place = link.duration("dead_after", kDeadAfterRange, out.dead_after);
  liveness.heartbeat = out.heartbeat.value_or(kDefaultHeartbeat);
  liveness.dead_after = out.dead_after.value_or(kDefaultDeadAfter);
  check_liveness(liveness, loading);
  link.duration("handshake_timeout", kTimeoutRange, out.handshake_timeout);
  const auto window_place = link.size("max_window", kWindowRange, out.max_window);
  check_max_window(window_place, out.max_window, limits, loading);
  link.duration("open_timeout", kTimeoutRange, out.open_timeout);
  out.congestion_control = read_congestion_control(link, loading);
  link.finish({{"psk_file", "at the server each [clients.NAME] has a psk_file of its own"},
               {"server", "it stands at the client; the server has listen = [\"host:port\"]"}});
  return out;
}

void read_service(const std::string& name, TableReader& table, const Loading& loading,
                  ServerConfig& config) {
  ServerServiceConfig service;
  table.require("target", "the backend's address, as in target = \"127.0.0.1:5432\"");
  std::string text;
  if (const auto place = table.text("target", text, "\"127.0.0.1:5432\"")) {
    const Result<Address> address = parse_address(text);
    if (address.ok()) {
      service.target = *address;
      if (std::holds_alternative<UnixAddress>(*address)) note_unix_socket(*place, loading);
    } else {
      loading.report.error(*place, address.error().message);
    }
  }
  table.duration("grace", kGraceRange, service.grace);
  table.duration("connect_timeout", kTimeoutRange, service.connect_timeout);
  read_choice(table, "send_proxy", kSendProxyWords, service.send_proxy);
  table.boolean("mirror", service.mirror);
  table.duration("check_interval", kCheckRange, service.check_interval);
  const auto from = read_choice(table, "source", kSourceWords, service.source);
  if (from && service.source == SourceAddress::client &&
      std::holds_alternative<UnixAddress>(service.target)) {
    loading.report.error(*from, "a Unix socket has no source address",
                         "send_proxy tells the service who is connected");
  }
  table.finish({{"listen", "the client's [services." + name + "] sets it"},
                {"link", "the client's [services." + name + "] sets it"}});
  config.services[name] = service;
}

// What clients may refer to: every [services.X], those with mistakes of their own too.
std::vector<std::string> service_names(const std::map<std::string, ServerServiceConfig>& services) {
  std::vector<std::string> names;
  for (const auto& [name, service] : services) names.push_back(name);
  return names;
}

void read_allowed(TableReader& table, const Loading& loading,
                  const std::vector<std::string>& services, std::vector<std::string>& out) {
  std::vector<TextItem> items;
  if (!table.has("services") && !table.has("allow")) {
    loading.report.missing(Severity::warning, table.place_of("services"),
                           "this client may use no service",
                           "services = [\"NAME\"] lists what it may ask for");
  }
  table.texts("services", TableReader::Single::refused, items);
  for (const TextItem& item : items) {
    if (std::find(services.begin(), services.end(), item.text) == services.end()) {
      std::string hint = "add [services." + item.text + "]";
      if (const auto near = nearest(item.text, services)) {
        hint = "did you mean \"" + *near + "\"?";
      } else if (item.text == "*") {
        hint = "there is no wildcard: list each service by its name";
      } else if (!is_valid_name(item.text)) {
        hint = kNameRule;
      }
      loading.report.missing(Severity::error, item.place,
                             "there is no service \"" + item.text + "\"", hint);
    } else if (std::find(out.begin(), out.end(), item.text) != out.end()) {
      loading.report.warning(item.place, "\"" + item.text + "\" stands here twice");
    } else {
      out.push_back(item.text);
    }
  }
}

// A share above the whole has no effect.
void warn_of_share(const Place& place, std::uint64_t share, std::uint64_t whole,
                   const std::string& limit, const Loading& loading) {
  if (share <= whole) return;
  loading.report.warning(place, "it is more than " + limit + " allows all clients together");
}

void read_shares(TableReader& table, const Loading& loading, const LimitsConfig& limits,
                 PeerConfig& out) {
  table.count("links", kLinksRange, out.links);
  if (const auto place = table.count("connections", kConnectionsRange, out.connections)) {
    warn_of_share(*place, *out.connections, limits.connections, "limits.connections", loading);
  }
  if (const auto place = table.size("memory", kShareRange, out.memory)) {
    warn_of_share(*place, *out.memory, limits.memory, "limits.memory", loading);
  }
}

// Reads [clients.X] one after the other and remembers which key belongs to whom.
class Clients {
 public:
  Clients(const Loading& loading, TableReader& link, ServerConfig& config)
      : loading_(loading),
        // A value of a wrong type is reported already: what was meant is not known.
        keyless_(link.has("tls") || config.link.unsafe_plaintext ||
                 (link.has("unsafe_plaintext") && !link.has_boolean("unsafe_plaintext"))),
        config_(config),
        services_(service_names(config.services)) {}

  void read(const std::string& name, TableReader& table) {
    PeerConfig peer;
    if (const auto psk = read_psk_file(table, loading_, !config_.link.unsafe_plaintext)) {
      peer.psk_file = psk->path;
      check_unique(name, *psk);
    }
    if (!table.has("psk_file") && !keyless_) {
      loading_.report.missing(
          Severity::error, table.place_of("psk_file"),
          "this client has no key, so nothing can prove who it is",
          "write `holdfast-server genpsk` to a file of mode 600 and name it as psk_file here and "
          "in "
          "the client's [link]; or set up [link.tls]; or, for tests only, unsafe_plaintext = true "
          "in [link] on both sides");
    }
    read_allowed(table, loading_, services_, peer.services);
    read_shares(table, loading_, config_.limits, peer);
    read_transparent(table, peer);
    table.finish();
    config_.clients[name] = std::move(peer);
  }

 private:
  // Where its intercepted connections may go, and where its applications may be.
  void read_transparent(TableReader& table, PeerConfig& peer) {
    read_patterns(table, "allow", loading_, peer.allow);
    read_choice(table, "source", kSourceWords, peer.source);
    std::vector<Network> sources;
    if (read_networks(table, "sources", loading_, sources)) peer.sources = sources;
    if (peer.sources) return;
    auto bound =
        std::find_if(peer.services.begin(), peer.services.end(), [&](const std::string& service) {
          return config_.services.at(service).source == SourceAddress::client;
        });
    bool any = bound != peer.services.end() ||
               (!peer.allow.empty() && peer.source == SourceAddress::client);
    if (!any) return;
    loading_.report.missing(
        Severity::error, table.place_of("sources"),
        "connections are made from the applications' addresses, and none are allowed",
        "say where this client's applications are, as in sources = [\"10.0.0.0/8\"]");
  }

  // The key's id is all that a client shows of itself before it is known: two cannot share one.
  void check_unique(const std::string& name, const PskFile& psk) {
    for (const std::string& identity : {psk.path, psk.id.value_or("")}) {
      if (identity.empty()) continue;
      const auto [entry, added] = owners_.emplace(identity, name);
      if (added || entry->second == name) continue;
      loading_.report.error(psk.place, "clients." + entry->second + " has the same key",
                            "each client needs a key of its own: `holdfast-server genpsk`");
      return;
    }
  }

  const Loading& loading_;
  bool keyless_;  // whether a client may do without a psk_file
  ServerConfig& config_;
  std::vector<std::string> services_;
  std::map<std::string, std::string> owners_;  // of paths and of ids
};

void warn_of_unused_services(TableReader& services, const ServerConfig& config,
                             const Loading& loading) {
  for (const auto& [name, service] : config.services) {
    const bool used = std::any_of(config.clients.begin(), config.clients.end(),
                                  [&name = name](const auto& client) {
                                    const std::vector<std::string>& list = client.second.services;
                                    return std::find(list.begin(), list.end(), name) != list.end();
                                  });
    if (!used) {
      loading.report.missing(Severity::warning, services.place_of(name),
                             "no client may use this service",
                             "services = [\"" + name + "\"] in a [clients.NAME] allows it");
    }
  }
}

// Servers never share a name: the host's, and the first address that tells agents on it apart.
std::string default_name(const std::vector<ListenAddress>& listen) {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host.fill('\0');
  std::string tail = listen.empty() ? std::string() : "-" + to_string(listen.front());
  std::string name(host.data());
  if (name.empty()) name = "server";
  tail.resize(std::min(tail.size(), kMaxNameBytes / 2));
  name.resize(std::min(name.size(), kMaxNameBytes - tail.size()));
  name += tail;
  for (char& c : name) {
    if (!is_valid_name(std::string(1, c))) c = '-';
  }
  return name;
}

}  // namespace

ServerConfig read_server(const TomlNode& root, const Loading& loading) {
  ServerConfig config;
  Listeners listeners;
  TableReader top(&root, Place{1, ""}, loading.report, loading.catalogue);
  config.limits = read_limits(top.table("limits"), loading);
  TableReader link = top.table("link");
  config.link = read_link(link, loading, config.limits, listeners);
  config.name = default_name(config.link.listen);
  read_name(top, loading, config.name);
  top.duration("shutdown_timeout", kShutdownRange, config.shutdown_timeout);
  read_threads(top, config.threads);
  check_threads(top, loading, config.threads, config.limits);
  TableReader services = top.table("services");
  services.each_table([&](const std::string& name, TableReader& table) {
    read_service(name, table, loading, config);
  });
  Clients clients(loading, link, config);
  TableReader client_tables = top.table("clients");
  client_tables.each_table(
      [&](const std::string& name, TableReader& table) { clients.read(name, table); });
  if (!top.has("clients")) {
    loading.report.missing(Severity::warning, Place{1, "clients"},
                           "there is none, so nobody can connect",
                           "add [clients.NAME] with psk_file and services");
  } else {
    warn_of_unused_services(services, config, loading);
  }
  config.nft = read_nft(top.table("nft"), loading, Side::server);
  config.admin = read_admin(top.table("admin"), loading, "/run/holdfast/server.sock", listeners);
  config.log = read_log(top.table("log"), loading);
  top.finish({{"server", "its keys stand at the top of the file and in [link]"},
              {"listen", "it stands in [link]"},
              {"grace", "it stands in [link]"},
              {"links", "[links.NAME] stands in the client's config; a server has one [link]"}});
  return config;
}

}  // namespace holdfast
