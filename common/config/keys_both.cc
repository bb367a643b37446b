// The keys that both sides have.
#include "common/config/keys.h"
#include "common/config/rules.h"
#include "common/config/values.h"
#include "common/config/values_text.h"

namespace holdfast {
namespace {

using enum ReloadEffect;

SectionKeys<CommonConfig> make_top(Side side) {
  const bool client = side == Side::client;
  SectionKeys<CommonConfig> top;
  top.heading = "Top of the file";
  top.keys = {
      {.name = "name",
       .value = value::name(&CommonConfig::name),
       .reload = restart,
       .text = "The agent's own name. A server's config calls its clients by theirs: "
               "*[clients.NAME]*; what clients know a server by across restarts, so no two servers "
               "may share one.",
       .required = client ? "what the server calls this client in [clients.NAME], as in name = "
                            "\"edge-1\""
                          : "",
       .absent = client ? ""
                        : "Default: from /etc/machine-id and the first port of *[link] listen*; "
                          "random for each start where a machine (a container) has none.",
       .example = client ? "\"edge-1\"" : "\"hub-1\"",
       .in_use = true},
      {.name = "shutdown_timeout",
       .value =
           value::duration(&CommonConfig::shutdown_timeout, {seconds(0), seconds(7 * 24 * 3600)}),
       .reload = at_once,
       .text = "How long *drain* waits for connections to end by themselves."},
      {.name = "threads",
       .value = value::count(&CommonConfig::threads, {1, 256}),
       .reload = restart,
       .text = "Loop threads. Links are spread over them, and each thread has its part of "
               "*[limits] memory*, while *connections* is one limit for all; at a client *[link] "
               "parallel* makes several links of one. The first "
               "thread also accepts connections and shakes hands, and of few links gets none."},
  };
  if (client) {
    top.elsewhere = {{"client", "its keys stand at the top of the file and in [link]"},
                     {"server", "it stands in [link]: server = [\"host:port\"]"},
                     {"listen", "it stands in [services.NAME]"},
                     {"psk_file", "it stands in [link]"},
                     {"clients", "[clients.NAME] stands in the server's config"}};
  } else {
    top.elsewhere = {
        {"server", "its keys stand at the top of the file and in [link]"},
        {"listen", "it stands in [link]"},
        {"grace", "it stands in [link]"},
        {"links", "[links.NAME] stands in the client's config; a server has one [link]"}};
  }
  return top;
}

SectionKeys<AdminConfig> make_admin(Side side) {
  const bool client = side == Side::client;
  SectionKeys<AdminConfig> admin;
  admin.name = "admin";
  admin.heading = "[admin]";
  admin.example = "[admin]";
  admin.defaults.socket = client ? "/run/holdfast/client.sock" : "/run/holdfast/server.sock";
  admin.keys = {
      {.name = "socket",
       .value = value::checked_text(&AdminConfig::socket, "_path_", value::read_socket_path),
       .reload = restart,
       .text = "The Unix socket that the subcommands talk to; at most 107 bytes."},
      {.name = "group",
       .value = value::text(&AdminConfig::group),
       .reload = restart,
       .text = "Members of this group may use the socket, besides the agent's own user.",
       .example = "\"adm\"",
       .check = rules::group_exists},
      {.name = "metrics",
       .value = value::parsed(&AdminConfig::metrics, parse_tcp_address, "_address_",
                              "\"127.0.0.1:9465\""),
       .reload = restart,
       .text =
           "HTTP for the status page (/), /metrics, /livez and /readyz. There is no login: keep "
           "it on localhost.",
       .example = client ? "\"127.0.0.1:9465\"" : "\"127.0.0.1:9466\"",
       .check = rules::metrics_are_local},
  };
  return admin;
}

SectionKeys<NftConfig> make_nft(Side side) {
  const bool client = side == Side::client;
  SectionKeys<NftConfig> nft;
  nft.name = "nft";
  nft.heading = "[nft]";
  nft.text =
      "What *nft* prints and applies: see holdfast-client(8) and holdfast-server(8). Two "
      "agents of a kind on one host need names and numbers of their own.";
  nft.example = "[nft]";
  nft.defaults.table = client ? "holdfast_client" : "holdfast_server";
  nft.keys = {
      {.name = "table",
       .value = value::checked_text(&NftConfig::table, "_string_", value::read_table_name),
       .reload = ReloadEffect::nft,
       .text = "The name of the table, in the family inet."},
      {.name = "mark",
       .value = value::count(&NftConfig::mark, {1, 0x7fffffff}),
       .reload = ReloadEffect::nft,
       .text = "The mark of packets that are delivered to this host though their address is "
               "another's. Each agent on a host that needs one has its own."},
      // The kernel has tables of its own up to 255 (ip-route(8)).
      {.name = "route_table",
       .value = value::count(&NftConfig::route_table, {256, 0x7fffffff}),
       .reload = ReloadEffect::nft,
       .text = "The routing table that delivers them."},
  };
  if (!client) nft.elsewhere = {{"exclude", "it stands in the client's config"}};
  return nft;
}

SectionKeys<LimitsConfig> make_limits() {
  SectionKeys<LimitsConfig> limits;
  limits.name = "limits";
  limits.heading = "[limits]";
  limits.example = "[limits]";
  limits.keys = {
      {.name = "memory",
       .value = value::size(&LimitsConfig::memory, kMemoryRange),
       .reload = restart,
       .text =
           "For the buffers of all connections together: half for what is sent, half for what is "
           "received. Each connection owns 16KiB of it in any case."},
      {.name = "connections",
       .value = value::count(&LimitsConfig::connections, kConnectionsRange),
       .reload = restart,
       .text = "How many connections at once; one link has at most 131072.",
       .absent =
           "Default: 10000, or what fits in two thirds of *memory* at 16 KiB each, if fewer."},
  };
  return limits;
}

SectionKeys<LogConfig> make_log(Side side) {
  const std::string folder =
      std::string("\"/var/log/holdfast/") + (side == Side::client ? "client" : "server");
  SectionKeys<LogConfig> log;
  log.name = "log";
  log.heading = "[log]";
  log.example = "[log]";
  log.keys = {
      {.name = "level",
       .value = value::word(&LogConfig::level, kLogLevels),
       .reload = at_once,
       .text = ""},
      {.name = "format",
       .value = value::word(&LogConfig::format, kLogFormats),
       .reload = restart,
       .text = "text is an event a line, key=value; journal is systemd's, with fields."},
      {.name = "connection_lines",
       .value = value::count(&LogConfig::connection_lines, {1, 10'000'000}),
       .reload = at_once,
       .text = "The most lines about connections that open and close in a second, for each peer: "
               "one that opens them without end fills no disk. How many more there were is logged "
               "as *connection_lines_suppressed*. Of connections that fail to open, ten in ten "
               "seconds are logged for one service and cause, and how many more there were as "
               "*connection_failures*."},
      {.name = "file",
       .value = value::path(&LogConfig::file),
       .reload = restart,
       .text = "A file instead of standard error.",
       .example = folder + ".log\""},
      {.name = "trace_file",
       .value = value::path(&LogConfig::trace_file),
       .reload = restart,
       .text = "Every event of the protocol, one JSON object a line: large.",
       .example = folder + ".trace\""},
  };
  return log;
}

}  // namespace

const SectionKeys<CommonConfig>& top_keys(Side side) {
  static const auto client = make_top(Side::client);
  static const auto server = make_top(Side::server);
  return side == Side::client ? client : server;
}

const SectionKeys<AdminConfig>& admin_keys(Side side) {
  static const auto client = make_admin(Side::client);
  static const auto server = make_admin(Side::server);
  return side == Side::client ? client : server;
}

const SectionKeys<NftConfig>& nft_keys(Side side) {
  static const auto client = make_nft(Side::client);
  static const auto server = make_nft(Side::server);
  return side == Side::client ? client : server;
}

const SectionKeys<LimitsConfig>& limits_keys(Side) {
  static const auto both = make_limits();
  return both;
}

const SectionKeys<LogConfig>& log_keys(Side side) {
  static const auto client = make_log(Side::client);
  static const auto server = make_log(Side::server);
  return side == Side::client ? client : server;
}

}  // namespace holdfast
