#include <algorithm>

#include "common/config/load_internal.h"
#include "common/config/nearest.h"

namespace holdfast {
namespace {

void read_server_addresses(TableReader& link, const Loading& loading,
                           std::vector<TcpAddress>& out) {
  link.require("server",
               "the address of the server agent, as in server = [\"198.51.100.10:7443\"]");
  std::vector<TextItem> items;
  const auto place = link.texts("server", TableReader::Single::accepted, items);
  if (place && items.empty()) {
    loading.report.error(*place, "no address stands in it", "write at least one host:port");
  }
  for (const TextItem& item : items) {
    const Result<TcpAddress> address = parse_tcp_address(item.text);
    if (!address.ok()) {
      loading.report.error(item.place, address.error().message);
      continue;
    }
    for (const TcpAddress& earlier : out) {
      if (earlier == *address) loading.report.warning(item.place, item.text + " stands here twice");
    }
    out.push_back(*address);
  }
}

// Exactly one of psk_file and the table tls, unless plaintext is asked for.
void read_security(TableReader& link, const Loading& loading, ClientLinkConfig& out) {
  const auto plaintext_place = link.boolean("unsafe_plaintext", out.unsafe_plaintext);
  const auto psk = read_psk_file(link, loading, !out.unsafe_plaintext);
  if (psk) out.psk_file = psk->path;
  out.tls = read_tls(link.table("tls"), loading, Side::client);
  if (out.unsafe_plaintext) warn_of_plaintext(*plaintext_place, loading);
  if (link.has("psk_file") && link.has("tls")) {
    loading.report.error(link.place_of("tls"),
                         "psk_file and [" + link.place().key + ".tls] exclude each other",
                         "keep the one that the server has for this client");
  } else if (link.has("unsafe_plaintext") && !link.has_boolean("unsafe_plaintext")) {
    return;  // of a wrong type, and reported: what was meant is not known
  } else if (!out.unsafe_plaintext && !link.has("psk_file") && !link.has("tls")) {
    loading.report.missing(Severity::error, link.place_of("psk_file"),
                           "the link has no key: it would be neither encrypted nor "
                           "authenticated",
                           "write `holdfast-client genpsk` to a file of mode 600 and name it as "
                           "psk_file here and under "
                           "[clients.NAME] at the server; or set up [" +
                               link.place().key +
                               ".tls]; or, for tests only, unsafe_plaintext = true on both sides");
  }
}

ClientLinkConfig read_link(TableReader link, const Loading& loading, const LimitsConfig& limits) {
  ClientLinkConfig out;
  read_server_addresses(link, loading, out.server);
  read_security(link, loading, out);
  Liveness liveness;
  liveness.heartbeat_place = link.duration("heartbeat", kHeartbeatRange, out.heartbeat);
  liveness.dead_after_place = link.duration("dead_after", kDeadAfterRange, out.dead_after);
  liveness.heartbeat = out.heartbeat;
  liveness.dead_after = out.dead_after;
  check_liveness(liveness, loading);
  link.duration("handshake_timeout", kTimeoutRange, out.handshake_timeout);
  const auto window_place = link.size("max_window", kWindowRange, out.max_window);
  check_max_window(window_place, out.max_window, limits, loading);
  link.duration("open_timeout", kTimeoutRange, out.open_timeout);
  out.congestion_control = read_congestion_control(link, loading);
  link.count("parallel", kParallelRange, out.parallel);
  std::vector<TableReader::Elsewhere> elsewhere = {
      {"grace", "the server's [link] sets it"},
      {"listen", "it stands at the server; the client has server = [\"host:port\"]"}};
  for (const std::string& key : link.keys()) {
    if (!link.has_table(key)) continue;
    elsewhere.push_back({key, "a link with a name of its own is written [links." + key + "]"});
  }
  link.finish(elsewhere);
  return out;
}

// The simple form, [link], or one [links.NAME] for each.
std::map<std::string, ClientLinkConfig> read_links(TableReader& top, const Loading& loading,
                                                   const LimitsConfig& limits) {
  std::map<std::string, ClientLinkConfig> out;
  TableReader links = top.table("links");
  if (top.has("link") || !top.has("links")) {
    out[kDefaultLinkName] = read_link(top.table("link"), loading, limits);
  }
  if (top.has("links") && top.has("link")) {
    loading.report.error(links.place(), "[link] and [links.NAME] exclude each other",
                         "give the one in [link] a name, too: [links.NAME]");
  }
  if (links.has("server") && !links.has_table("server")) {
    loading.report.error(links.place_of("server"), "this stands in [links] itself",
                         "write [link] where there is one link, else [links.NAME] for each");
    return out;
  }
  links.each_table([&](const std::string& name, TableReader& table) {
    out[name] = read_link(table, loading, limits);
  });
  if (links.present() && links.keys().empty()) {
    loading.report.missing(Severity::error, links.place(), "no link stands in it",
                           "add [links.NAME] with server and psk_file");
  }
  return out;
}

// The [services.X]. Links are known before.
class Services {
 public:
  Services(const Loading& loading, std::vector<std::string> links, Listeners& listeners,
           std::map<std::string, ClientServiceConfig>& out)
      : loading_(loading), links_(std::move(links)), listeners_(listeners), out_(out) {}

  void read(const std::string& name, TableReader& table) {
    ClientServiceConfig service;
    read_choice(table, "mode", kModeWords, service.mode);
    const bool listens = service.mode == ServiceMode::explicit_address
                             ? read_listen(table, service.listen)
                             : read_intercept_listen(table, service.mode, service.listen);
    read_link_name(table, service.link);
    read_interception(table, service);
    read_accept_proxy(table, service);
    read_mirror(table, service);
    if (listens) out_[name] = service;
    const std::string theirs = "the server's [services." + name + "] sets it";
    table.finish({{"target", theirs},
                  {"grace", theirs},
                  {"connect_timeout", theirs},
                  {"send_proxy", theirs},
                  {"source", theirs}});
  }

  void warn_of_unused_links(TableReader& links) const {
    if (unclear_) return;
    for (const std::string& link : links_) {
      const bool used = std::any_of(out_.begin(), out_.end(),
                                    [&](const auto& each) { return each.second.link == link; });
      if (!used) {
        loading_.report.missing(Severity::warning, links.place_of(link),
                                "no service uses this link",
                                "link = \"" + link + "\" in a [services.NAME] does");
      }
    }
  }

 private:
  bool read_intercept_listen(TableReader& table, ServiceMode mode, ListenAddress& out) {
    table.require("listen", "the port that connections are turned to, as in listen = \"*:15001\"");
    std::string text;
    const auto place = table.text("listen", text, "\"*:15001\"");
    if (!place) return false;
    const Result<ListenAddress> address = parse_intercept_address(text);
    if (!address.ok()) {
      loading_.report.error(*place, address.error().message);
      return false;
    }
    out = *address;
    listeners_.add(out, *place, loading_.report, to_string(mode));
    return true;
  }

  void read_interception(TableReader& table, ClientServiceConfig& out) {
    const auto match = read_patterns(table, "match", loading_, out.match);
    const auto travel = table.boolean("travel", out.travel);
    if (out.mode == ServiceMode::explicit_address) {
      const auto unmeant = !out.match.empty() ? match : out.travel ? travel : std::nullopt;
      if (unmeant) {
        loading_.report.error(*unmeant, "applications connect to this service's own address",
                              "mode = \"redirect\" or \"tproxy\" takes connections to others");
      }
      return;
    }
    table.require("match", "the destinations that are taken, as in match = \"10.0.5.0/24:5432\"");
    for (const AddressPattern& pattern : out.match) {
      const auto [earlier, added] = matches_.emplace(
          std::string(to_string(out.mode)) + " " + to_string(pattern), table.place().key);
      if (added) continue;
      loading_.report.error(*match, earlier->second + " has the same: " + to_string(pattern),
                            "a destination belongs to one service");
    }
  }

  void read_accept_proxy(TableReader& table, ClientServiceConfig& out) {
    const auto place = table.boolean("accept_proxy", out.accept_proxy);
    const auto from = read_networks(table, "accept_proxy_from", loading_, out.accept_proxy_from);
    if (!out.accept_proxy_from.empty() && !out.accept_proxy) {
      loading_.report.warning(*from, "it means nothing without accept_proxy = true");
    }
    if (!out.accept_proxy) return;
    if (out.mode != ServiceMode::explicit_address) {
      loading_.report.error(*place, "intercepted connections have no PROXY header",
                            "their addresses are known without one");
    }
    if (out.accept_proxy_from.empty() && !table.has("accept_proxy_from")) {
      loading_.report.missing(Severity::error, table.place_of("accept_proxy_from"),
                              "nobody may send a PROXY header, so nobody can connect",
                              "name the balancers, as in accept_proxy_from = [\"10.0.0.5\"]");
    }
    if (std::holds_alternative<UnixAddress>(out.listen)) {
      loading_.report.error(*place, "who connects to a Unix socket has no address to be allowed by",
                            "listen on host:port");
    }
  }

  // A listener that is closed and opened again must be the service's own, and the agent's.
  void read_mirror(TableReader& table, ClientServiceConfig& out) {
    const auto place = table.boolean("mirror", out.mirror);
    if (out.mirror && !std::holds_alternative<TcpAddress>(out.listen)) {
      loading_.report.error(*place, "only a TCP listener of the agent's own can refuse",
                            "listen on host:port");
    }
    if (out.mirror && out.travel) {
      loading_.report.error(*place,
                            "where the destination travels there is no target to be watched",
                            "mirror is for services with a target at the server");
    }
    const bool shared = std::any_of(out_.begin(), out_.end(), [&](const auto& each) {
      return each.second.listen == out.listen && (out.mirror || each.second.mirror);
    });
    if (!shared) return;
    loading_.report.error(place.value_or(table.place_of("listen")),
                          "another service has the same listener, which cannot be closed",
                          "give this service a port of its own");
  }

  bool read_listen(TableReader& table, ListenAddress& out) {
    table.require("listen", "where applications connect, as in listen = \"127.0.0.1:5432\"");
    std::string text;
    const auto place = table.text("listen", text, "\"127.0.0.1:5432\"");
    if (!place) return false;
    const Result<ListenAddress> address = parse_listen_address(text);
    if (!address.ok()) {
      loading_.report.error(*place, address.error().message);
      return false;
    }
    out = *address;
    listeners_.add(out, *place, loading_.report);
    if (std::holds_alternative<UnixAddress>(out)) note_unix_socket(*place, loading_);
    if (!is_local(out)) {
      loading_.report.warning(*place, "whoever reaches " + text + " can use this service",
                              "use 127.0.0.1 or [::1] unless other hosts are meant to");
    }
    return true;
  }

  void read_link_name(TableReader& table, std::string& out) {
    if (links_.size() == 1) out = links_.front();
    if (links_.size() > 1) table.require("link", "there are several: " + listed(links_));
    std::string text;
    const auto place = table.text("link", text);
    if (place && std::find(links_.begin(), links_.end(), text) != links_.end()) {
      out = text;
    } else if (place) {
      const auto near = nearest(text, links_);
      loading_.report.missing(Severity::error, *place, "there is no link \"" + text + "\"",
                              near             ? "did you mean \"" + *near + "\"?"
                              : links_.empty() ? "add [links." + text + "]"
                                               : "there is " + listed(links_));
    }
    unclear_ = unclear_ || (!place && table.has("link")) || out.empty();
  }

  static std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "\"" : ", \"") + name + "\"";
    return text;
  }

  const Loading& loading_;
  std::vector<std::string> links_;
  std::map<std::string, std::string> matches_;  // mode and pattern, to the service that has it
  Listeners& listeners_;
  std::map<std::string, ClientServiceConfig>& out_;
  bool unclear_ = false;  // a service's link is wrong, and which was meant is not known
};

// One more than there are links has something to do: it listens.
void warn_of_idle_threads(const TableReader& top, const Loading& loading,
                          const ClientConfig& config) {
  std::uint64_t links = 0;
  for (const auto& [name, link] : config.links) links += link.parallel;
  if (links == 0 || config.threads <= links + 1) return;
  loading.report.warning(top.place_of("threads"),
                         std::to_string(config.threads) + " threads are more than there is for " +
                             std::to_string(links) + (links == 1 ? " link" : " links") + " to do",
                         "set link.parallel to as many, or fewer threads");
}

}  // namespace

ClientConfig read_client(const TomlNode& root, const Loading& loading) {
  ClientConfig config;
  Listeners listeners;
  TableReader top(&root, Place{1, ""}, loading.report, loading.catalogue);
  top.require("name",
              "what the server calls this client in [clients.NAME], as in name = \"edge-1\"");
  read_name(top, loading, config.name);
  top.duration("shutdown_timeout", kShutdownRange, config.shutdown_timeout);
  read_threads(top, config.threads);
  config.limits = read_limits(top.table("limits"), loading);
  check_threads(top, loading, config.threads, config.limits);
  config.links = read_links(top, loading, config.limits);
  warn_of_idle_threads(top, loading, config);
  TableReader links = top.table("links");
  // With mistakes of their own they count, too.
  Services reader(loading,
                  links.present() ? links.keys() : std::vector<std::string>{kDefaultLinkName},
                  listeners, config.services);
  TableReader services = top.table("services");
  services.each_table(
      [&](const std::string& name, TableReader& table) { reader.read(name, table); });
  if (!top.has("services")) {
    loading.report.missing(Severity::warning, Place{1, "services"},
                           "there is none, so no application can connect",
                           "add [services.NAME] with listen");
  } else if (links.present()) {
    reader.warn_of_unused_links(links);
  }
  config.nft = read_nft(top.table("nft"), loading, Side::client);
  config.admin = read_admin(top.table("admin"), loading, "/run/holdfast/client.sock", listeners);
  config.log = read_log(top.table("log"), loading);
  top.finish({{"client", "its keys stand at the top of the file and in [link]"},
              {"server", "it stands in [link]: server = [\"host:port\"]"},
              {"listen", "it stands in [services.NAME]"},
              {"psk_file", "it stands in [link]"},
              {"clients", "[clients.NAME] stands in the server's config"}});
  return config;
}

}  // namespace holdfast
