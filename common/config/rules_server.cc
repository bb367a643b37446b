#include <algorithm>

#include "common/config/nearest.h"
#include "common/config/rules.h"

namespace holdfast::rules {
namespace {

// What clients may refer to: every [services.X], those with mistakes of their own too.
std::vector<std::string> service_names(const std::map<std::string, ServerServiceConfig>& services) {
  std::vector<std::string> names;
  for (const auto& [name, service] : services) names.push_back(name);
  return names;
}

std::string hint_for_service(const std::string& name, const std::vector<std::string>& services) {
  if (const auto near = nearest(name, services)) return "did you mean \"" + *near + "\"?";
  if (name == "*") return "there is no wildcard: list each service by its name";
  if (!is_valid_name(name)) return kNameRule;
  return "add [services." + name + "]";
}

}  // namespace

void target_can_carry_resets(const ServerServiceConfig& service, const Place& place,
                             const Loading& loading) {
  if (std::holds_alternative<UnixAddress>(service.target)) no_reset_on_unix_socket(place, loading);
}

void proxy_headers_have_senders(TableReader& link, const ServerLinkConfig& set,
                                const Loading& loading) {
  if (!set.accept_proxy_from.empty() && !set.accept_proxy) {
    loading.report.warning(link.place_of("accept_proxy_from"),
                           "it means nothing without accept_proxy = true");
  }
  if (set.accept_proxy && set.accept_proxy_from.empty() && !link.has("accept_proxy_from")) {
    loading.report.missing(Severity::error, link.place_of("accept_proxy_from"),
                           "nobody may send a PROXY header, so no client can connect",
                           "name the balancers, as in accept_proxy_from = [\"10.0.0.5\"]");
  }
}

void link_listens_alone(const TableReader& link, Listeners& listeners, const Loading& loading) {
  for (const TextItem& item : link.peek("listen")) {
    const Result<ListenAddress> address = parse_listen_address(item.text);
    if (!address.ok()) continue;  // reported
    if (std::holds_alternative<UnixAddress>(*address)) {
      loading.report.error(item.place, "a link runs over TCP, not over a Unix socket",
                           "write host:port");
    } else {
      listeners.add(*address, item.place, loading.report);
    }
  }
}

void target_is_not_the_link(const TableReader& table, const ServerServiceConfig& service,
                            const ServerLinkConfig& link, const Loading& loading) {
  const auto place = table.filled("target");
  const auto* target = std::get_if<TcpAddress>(&service.target);
  if (!place || target == nullptr) return;
  for (const ListenAddress& each : link.listen) {
    const auto* own = std::get_if<TcpAddress>(&each);
    if (own == nullptr || !leads_to(*target, *own)) continue;
    loading.report.error(*place, "it is this agent's own link port: a connection would come back",
                         "where does the service listen?");
    return;
  }
}

void source_goes_with_target(const TableReader& table, const ServerServiceConfig& service,
                             const Loading& loading) {
  const auto place = table.filled("source");
  if (!place || service.source != SourceAddress::client) return;
  if (!std::holds_alternative<UnixAddress>(service.target)) return;
  loading.report.error(*place, "a Unix socket has no source address",
                       "send_proxy tells the service who is connected");
}

ServerClients::ServerClients(TableReader& link, const ServerConfig& config, const Loading& loading)
    : loading_(loading),
      // A value of a wrong type is reported already: what was meant is not known.
      keyless_(link.has("tls") || config.link.unsafe_plaintext ||
               (link.has("unsafe_plaintext") && !link.has_boolean("unsafe_plaintext"))),
      config_(config),
      services_(service_names(config.services)) {}

void ServerClients::check(const std::string& name, TableReader& table, PeerConfig& client) {
  psk_file_is_its_own(name, table, client);
  services_exist(table, client);
  shares_fit_limits(table, client);
  sources_are_named(table, client);
}

// The key's id is all that a client shows of itself before it is known: two cannot share one.
void ServerClients::psk_file_is_its_own(const std::string& name, TableReader& table,
                                        const PeerConfig& client) {
  if (!table.has("psk_file") && !keyless_) {
    loading_.report.missing(
        Severity::error, table.place_of("psk_file"),
        "this client has no key, so nothing can prove who it is",
        "write `holdfast-server genpsk` to a file of mode 600 and name it as psk_file here and in "
        "the client's [link]; or set up [link.tls]; or, for tests only, unsafe_plaintext = true "
        "in [link] on both sides");
  }
  const auto place = table.filled("psk_file");
  if (!place) return;
  const auto id =
      psk_file_holds_key(table, client.psk_file, !config_.link.unsafe_plaintext, loading_);
  for (const std::string& identity : {*client.psk_file, id.value_or("")}) {
    if (identity.empty()) continue;
    const auto [entry, added] = owners_.emplace(identity, name);
    if (added || entry->second == name) continue;
    loading_.report.error(*place, "clients." + entry->second + " has the same key",
                          "each client needs a key of its own: `holdfast-server genpsk`");
    return;
  }
}

// Only those that exist stay in the list, each once.
void ServerClients::services_exist(TableReader& table, PeerConfig& client) {
  if (!table.has("services") && !table.has("allow")) {
    loading_.report.missing(Severity::warning, table.place_of("services"),
                            "this client may use no service",
                            "services = [\"NAME\"] lists what it may ask for");
  }
  client.services.clear();
  if (!table.filled("services")) return;
  for (const TextItem& item : table.peek("services")) {
    if (std::find(services_.begin(), services_.end(), item.text) == services_.end()) {
      loading_.report.missing(Severity::error, item.place,
                              "there is no service \"" + item.text + "\"",
                              hint_for_service(item.text, services_));
    } else if (client.may_use(item.text)) {
      loading_.report.warning(item.place, "\"" + item.text + "\" stands here twice");
    } else {
      client.services.push_back(item.text);
    }
  }
}

// A share above the whole has no effect.
void ServerClients::shares_fit_limits(const TableReader& table, const PeerConfig& client) {
  auto warn = [&](const std::string& key, std::uint64_t share, std::uint64_t whole) {
    if (share <= whole) return;
    loading_.report.warning(table.place_of(key),
                            "it is more than limits." + key + " allows all clients together");
  };
  warn("connections", client.connections.value_or(0), config_.limits.connections);
  warn("memory", client.memory.value_or(0), config_.limits.memory);
}

void ServerClients::sources_are_named(const TableReader& table, const PeerConfig& client) {
  if (client.sources) return;
  const bool bound =
      std::any_of(client.services.begin(), client.services.end(), [&](const std::string& service) {
        return config_.services.at(service).source == SourceAddress::client;
      });
  if (!bound && (client.allow.empty() || client.source != SourceAddress::client)) return;
  loading_.report.missing(
      Severity::error, table.place_of("sources"),
      "connections are made from the applications' addresses, and none are allowed",
      "say where this client's applications are, as in sources = [\"10.0.0.0/8\"]");
}

void services_are_allowed(const TableReader& services, const ServerConfig& config,
                          const Loading& loading) {
  for (const auto& [name, service] : config.services) {
    const bool used =
        std::any_of(config.clients.begin(), config.clients.end(),
                    [&wanted = name](const auto& client) { return client.second.may_use(wanted); });
    if (!used) {
      loading.report.missing(Severity::warning, services.place_of(name),
                             "no client may use this service",
                             "services = [\"" + name + "\"] in a [clients.NAME] allows it");
    }
  }
}

}  // namespace holdfast::rules
