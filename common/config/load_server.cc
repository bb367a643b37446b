#include "common/config/default_name.h"
#include "common/config/load_internal.h"

namespace holdfast {
namespace {

ServerLinkConfig read_link(TableReader& link, const Loading& loading, const LimitsConfig& limits,
                           Listeners& listeners) {
  ServerLinkConfig out = read_section(server_link_keys(), link, loading);
  out.tls = read_tls(server_tls_keys(), link, loading);
  rules::link_listens_alone(link, listeners, loading);
  rules::proxy_headers_have_senders(link, out, loading);
  rules::plaintext_is_unsafe(link, out.unsafe_plaintext, loading);
  rules::dead_after_outlasts_heartbeat(link, out.heartbeat.value_or(kDefaultHeartbeat),
                                       out.dead_after.value_or(kDefaultDeadAfter), loading);
  rules::window_fits_memory(link, out.max_window, limits, loading);
  finish_table(server_link_keys(), link);
  return out;
}

ServerServiceConfig read_service(const std::string& name, TableReader& table,
                                 const ServerLinkConfig& link, const Loading& loading) {
  ServerServiceConfig service = read_section(server_service_keys(), table, loading);
  rules::source_goes_with_target(table, service, loading);
  rules::target_is_not_the_link(table, service, link, loading);
  finish_table(server_service_keys(), table, name);
  return service;
}

// A name that the operator gave stays when the host does not.
void name_by_default(ServerConfig& config, const Loading& loading) {
  config.name = "server";
  if (loading.surroundings == Environment::ignored) return;
  config.name = default_server_name(config.link.listen);
  loading.report.missing(Severity::warning, Place{1, "name"},
                         "it is missing: clients know this server by it when it comes back, and "
                         "the default is this machine's",
                         "give each server a name of its own, as in name = \"hub-1\"");
}

}  // namespace

ServerConfig read_server(const TomlNode& root, const Loading& loading) {
  ServerConfig config;
  Listeners listeners;
  TableReader top(&root, Place{1, ""}, loading.report);
  read_agent_top(Side::server, top, loading, config);
  TableReader link = top.table("link");
  config.link = read_link(link, loading, config.limits, listeners);
  if (!top.filled("name")) name_by_default(config, loading);
  TableReader services = top.table("services");
  services.each_table([&](const std::string& name, TableReader& table) {
    config.services[name] = read_service(name, table, config.link, loading);
  });
  rules::ServerClients all(link, config, loading);
  top.table("clients").each_table([&](const std::string& name, TableReader& table) {
    PeerConfig client = read_section(server_client_keys(), table, loading);
    all.check(name, table, client);
    config.clients[name] = std::move(client);
    finish_table(server_client_keys(), table, name);
  });
  if (!top.has("clients")) {
    loading.report.missing(Severity::warning, Place{1, "clients"},
                           "there is none, so nobody can connect",
                           "add [clients.NAME] with psk_file and services");
  } else {
    rules::services_are_allowed(services, config, loading);
  }
  read_agent_tables(Side::server, top, loading, listeners, config);
  finish_table(top_keys(Side::server), top);
  return config;
}

}  // namespace holdfast
