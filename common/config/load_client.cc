#include "common/config/load_internal.h"

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

// Exactly one of psk_file and [link.tls], unless plaintext is asked for.
void read_security(TableReader& link, const Loading& loading, ClientLinkConfig& out) {
  const auto plaintext_place = link.boolean("unsafe_plaintext", out.unsafe_plaintext);
  const auto psk = read_psk_file(link, loading, !out.unsafe_plaintext);
  if (psk) out.psk_file = psk->path;
  out.tls = read_tls(link.table("tls"), loading, Side::client);
  if (out.unsafe_plaintext) warn_of_plaintext(*plaintext_place, loading);
  if (link.has("psk_file") && link.has("tls")) {
    loading.report.error(link.place_of("tls"), "psk_file and [link.tls] exclude each other",
                         "keep the one that the server has for this client");
  } else if (link.has("unsafe_plaintext") && !link.has_boolean("unsafe_plaintext")) {
    return;  // of a wrong type, and reported: what was meant is not known
  } else if (!out.unsafe_plaintext && !link.has("psk_file") && !link.has("tls")) {
    loading.report.error(link.place_of("psk_file"),
                         "the link has no key: it would be neither encrypted nor "
                         "authenticated",
                         "write `holdfast-client genpsk` to a file of mode 600 and name it as "
                         "psk_file here and under "
                         "[clients.NAME] at the server; or set up [link.tls]; or, for tests only, "
                         "unsafe_plaintext = "
                         "true on both sides");
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
  link.finish({{"grace", "the server's [link] sets it"},
               {"listen", "it stands at the server; the client has server = [\"host:port\"]"}});
  return out;
}

void read_service(const std::string& name, TableReader& table, const Loading& loading,
                  Listeners& listeners, ClientConfig& config) {
  table.require("listen", "where applications connect, as in listen = \"127.0.0.1:5432\"");
  std::string text;
  if (const auto place = table.text("listen", text)) {
    const Result<ListenAddress> address = parse_listen_address(text);
    if (address.ok()) {
      config.services[name] = ClientServiceConfig{*address};
      listeners.add(*address, *place, loading.report);
      if (std::holds_alternative<UnixAddress>(*address)) note_unix_socket(*place, loading);
      if (!is_local(*address)) {
        loading.report.warning(*place, "whoever reaches " + text + " can use this service",
                               "use 127.0.0.1 or [::1] unless other hosts are meant to");
      }
    } else {
      loading.report.error(*place, address.error().message);
    }
  }
  table.finish({{"target", "the server's [services." + name + "] sets it"},
                {"grace", "the server's [services." + name + "] sets it"},
                {"connect_timeout", "the server's [services." + name + "] sets it"}});
}

}  // namespace

ClientConfig read_client(const TomlNode& root, const Loading& loading) {
  ClientConfig config;
  Listeners listeners;
  TableReader top(&root, Place{1, ""}, loading.report);
  top.require("name",
              "what the server calls this client in [clients.NAME], as in name = \"edge-1\"");
  read_name(top, loading, config.name);
  top.duration("shutdown_timeout", kShutdownRange, config.shutdown_timeout);
  read_threads(top, loading, config.threads);
  config.limits = read_limits(top.table("limits"), loading);
  config.link = read_link(top.table("link"), loading, config.limits);
  TableReader services = top.table("services");
  services.each_table([&](const std::string& name, TableReader& table) {
    read_service(name, table, loading, listeners, config);
  });
  if (!top.has("services")) {
    loading.report.warning(Place{1, "services"}, "there is none, so no application can connect",
                           "add [services.NAME] with listen");
  }
  config.admin = read_admin(top.table("admin"), loading, "/run/holdfast/client.sock", listeners);
  config.log = read_log(top.table("log"), loading);
  top.finish({{"clients", "[clients.NAME] stands in the server's config"}});
  return config;
}

}  // namespace holdfast
