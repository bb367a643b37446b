#include "common/config/load_internal.h"

namespace holdfast {
namespace {

ClientLinkConfig read_link(TableReader& link, const Loading& loading, const LimitsConfig& limits) {
  ClientLinkConfig out = read_section(client_link_keys(), link, loading);
  out.tls = read_tls(client_tls_keys(), link, loading);
  const std::vector<TextItem> servers = link.peek("server");
  for (std::size_t i = 0; i < servers.size() && servers.size() == out.server.size(); ++i) {
    const Place& place = servers[i].place;
    out.server[i].written_at =
        place.key + " in " + loading.report.file_of(place) + ":" + std::to_string(place.line);
  }
  rules::link_has_one_proof(link, out, loading);
  rules::dead_after_outlasts_heartbeat(link, out.heartbeat, out.dead_after, loading);
  rules::window_fits_memory(link, out.max_window, limits, loading);
  std::vector<TableReader::Elsewhere> elsewhere = client_link_keys().elsewhere;
  for (const std::string& key : link.keys()) {
    if (!link.has_table(key)) continue;
    elsewhere.push_back({key, "a link with a name of its own is written [links." + key + "]"});
  }
  link.finish(elsewhere);
  return out;
}

// The simple form, [link], or one [links.NAME] for each.
std::map<std::string, ClientLinkConfig> read_links(TableReader& top, TableReader& links,
                                                   const Loading& loading,
                                                   const LimitsConfig& limits) {
  std::map<std::string, ClientLinkConfig> out;
  if (top.has("link") || !top.has("links")) {
    TableReader link = top.table("link");
    out[kDefaultLinkName] = read_link(link, loading, limits);
  }
  rules::links_have_one_form(top, links, loading);
  if (links.has("server") && !links.has_table("server")) {
    loading.report.error(links.place_of("server"), "this stands in [links] itself",
                         "write [link] where there is one link, else [links.NAME] for each");
    return out;
  }
  links.each_table([&](const std::string& name, TableReader& table) {
    out[name] = read_link(table, loading, limits);
  });
  return out;
}

void read_services(TableReader& top, TableReader& links, Listeners& listeners,
                   const Loading& loading, const std::map<std::string, ClientLinkConfig>& dialled,
                   std::map<std::string, ClientServiceConfig>& out) {
  // With mistakes of their own they count, too.
  rules::ClientServices all(
      links.present() ? links.keys() : std::vector<std::string>{kDefaultLinkName}, listeners,
      loading);
  top.table("services").each_table([&](const std::string& name, TableReader& table) {
    ClientServiceConfig service = read_section(client_service_keys(), table, loading);
    all.check(name, table, service);
    rules::listen_is_not_the_server(table, service, dialled, loading);
    if (table.filled("listen")) out[name] = std::move(service);
    finish_table(client_service_keys(), table, name);
  });
  if (!top.has("services")) {
    loading.report.missing(Severity::warning, Place{1, "services"},
                           "there is none, so no application can connect",
                           "add [services.NAME] with listen");
  } else if (links.present()) {
    all.links_are_used(links);
  }
}

}  // namespace

ClientConfig read_client(const TomlNode& root, const Loading& loading) {
  ClientConfig config;
  Listeners listeners;
  TableReader top(&root, Place{1, ""}, loading.report);
  read_agent_top(Side::client, top, loading, config);
  TableReader links = top.table("links");
  config.links = read_links(top, links, loading, config.limits);
  rules::threads_have_links(top, config, loading);
  read_services(top, links, listeners, loading, config.links, config.services);
  read_agent_tables(Side::client, top, loading, listeners, config);
  finish_table(top_keys(Side::client), top);
  return config;
}

}  // namespace holdfast
