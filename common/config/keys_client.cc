// The keys of a client's config.
#include "common/config/keys.h"
#include "common/config/rules.h"
#include "common/config/values.h"
#include "common/config/values_text.h"

namespace holdfast {
namespace {

using enum ReloadEffect;

SectionKeys<ClientLinkConfig> make_link() {
  SectionKeys<ClientLinkConfig> link;
  link.name = "link";
  link.heading = "[link] and [links.NAME]";
  link.text =
      "*[link]* alone is the simple form: one server agent. It is called \"default\". Where there "
      "are several, each has its *[links.NAME]* with the same keys, and every service says which "
      "it uses. Both forms together are a mistake. There must be one of *psk_file*, the table "
      "*tls* and *unsafe_plaintext*.";
  link.example = "[link]";
  link.keys = {
      {.name = "server",
       .value = value::list(&ClientLinkConfig::server, parse_tcp_address,
                            "_address_ or array of _address_", {.may_be_empty = false}),
       .reload = next_carrier,
       .text = "The addresses of a server agent, of several, or of the balancer before them; "
               "*balance* says which is tried first.",
       .required = "the address of the server agent, as in server = [\"198.51.100.10:7443\"]",
       .example = "[\"198.51.100.10:7443\"]",
       .in_use = true},
      {.name = "psk_file",
       .value = value::secret_path(&ClientLinkConfig::psk_file),
       .reload = next_carrier,
       .text = "A file of mode 600 with one line printed by *genpsk*; the server has the same line "
               "under *[clients.NAME]*. May be \"credential:NAME\".",
       .absent = "Default: none; required unless *[link.tls]* is there.",
       .example = "\"/etc/holdfast/edge-1.psk\"",
       .in_use = true},
      {.name = "unsafe_plaintext",
       .value = value::boolean(&ClientLinkConfig::unsafe_plaintext),
       .reload = next_carrier,
       .text = "Without encryption and without proof of who is who, for tests and wires you trust "
               "wholly. Both sides must say it."},
      {.name = "heartbeat",
       .value = value::duration(&ClientLinkConfig::heartbeat, kHeartbeatRange),
       .reload = next_carrier,
       .text = "After this much silence the peer is asked for a sign of life. The server's wins "
               "where it has one."},
      {.name = "dead_after",
       .value = value::duration(&ClientLinkConfig::dead_after, kDeadAfterRange),
       .reload = next_carrier,
       .text = "After this much silence a path counts as dead at the latest. Longer than "
               "*heartbeat*. The server's wins where it has one."},
      {.name = "handshake_timeout",
       .value = value::duration(&ClientLinkConfig::handshake_timeout, kTimeoutRange),
       .reload = next_carrier,
       .text = "How long a connected server may take for its TLS handshake, and how long for its "
               "answer after that."},
      {.name = "max_window",
       .value = value::size(&ClientLinkConfig::max_window, kWindowRange),
       .reload = at_once,
       .text =
           "The most bytes of one connection under way to this side: sent, and not yet taken by "
           "the application here. The server's bounds the other direction. A connection's "
           "throughput is at most this, divided by the round-trip time; more takes more of "
           "*limits.memory*."},
      {.name = "open_timeout",
       .value = value::duration(&ClientLinkConfig::open_timeout, kTimeoutRange),
       .reload = new_connections,
       .text = "How long an application that connects while the link is down waits before it is "
               "reset."},
      {.name = "congestion_control",
       .value = value::checked_text(&ClientLinkConfig::congestion_control, "_name_",
                                    value::read_congestion_control),
       .reload = next_carrier,
       .text = "How this end paces what it sends over the link (*tcp*(7)), as in \"bbr\" or "
               "\"cubic\"; each end has its own. The host must have it and let the agent use it.",
       .absent = "Default: the host's.",
       .example = "\"cubic\""},
      {.name = "parallel",
       .value = value::count_or_word(&ClientLinkConfig::parallel, {1, 16}, "auto"),
       .reload = new_connections,
       .text = "How many lanes the link has: carriers of their own, among which connections are "
               "shared out. A number is so many at all times; every new connection goes to one "
               "that is up and has the fewest. With \"auto\" an idle link has one (one for each of "
               "*threads*), and up to 8 while much is sent on a path that queues or loses packets: "
               "so a keystroke does not wait behind an upload, and several connections use a long, "
               "lossy path better than one carrier does. Lanes without a connection for 30 s go. "
               "A server counts them as one (*[clients.NAME] links*)."},
      {.name = "mptcp",
       .value = value::boolean(&ClientLinkConfig::mptcp),
       .reload = next_carrier,
       .text =
           "Carriers are dialled with Multipath TCP (*ip-mptcp*(8)): where both ends' kernels and "
           "the network let them, a carrier uses several paths at once and goes on over the others "
           "when one falls silent. Which paths, says *ip mptcp endpoint*. Where a kernel has none, "
           "or something on the way or the server does not know it, it is plain TCP. *links* shows "
           "how many paths each has."},
      {.name = "sni",
       .value = value::checked_text(&ClientLinkConfig::sni, "_name_ or \"off\"", value::read_sni),
       .reload = next_carrier,
       .text = "The server name that the TLS hello has (SNI), in clear, for a balancer that looks "
               "at it. A link that is resumed names its server's *home* instead, where the server "
               "has one. With \"off\" no hello has a name, and homes are not named either. What "
               "the server's certificate must have is *[link.tls] server_name*, whatever stands "
               "here.",
       .absent = "Default: with *psk_file* none, with *[link.tls]* its *server_name*.",
       .example = "\"hub.example.org\""},
      {.name = "balance",
       .value = value::word(&ClientLinkConfig::balance, kBalanceWords),
       .reload = next_carrier,
       .text = "At which address of *server* a link begins: the \"first\", or a \"random\" one, so "
               "that the clients of several servers spread over them. The others are tried when "
               "that one does not answer, or drains."},
  };
  link.elsewhere = {{"grace", "the server's [link] sets it"},
                    {"listen", "it stands at the server; the client has server = [\"host:port\"]"}};
  return link;
}

SectionKeys<TlsConfig> make_tls() {
  SectionKeys<TlsConfig> tls;
  tls.name = "link.tls";
  tls.heading = "[link.tls] and [links.NAME.tls]";
  tls.text = "Certificates in place of *psk_file*.";
  tls.example = "#[link.tls]";
  tls.note =
      "Several server agents: in place of [link], one table for each, with the keys of [link].\n"
      "\n"
      "[links.hub-1]\n"
      "server = [\"198.51.100.10:7443\"]\n"
      "psk_file = \"/etc/holdfast/edge-1.psk\"\n"
      "[links.hub-2]\n"
      "server = [\"203.0.113.20:7443\"]\n"
      "psk_file = \"/etc/holdfast/edge-1-at-hub-2.psk\"";
  const std::string required = "[link.tls] needs ca_file, cert_file and key_file";
  tls.keys = {
      {.name = "ca_file",
       .value = value::path(&TlsConfig::ca_file),
       .reload = next_carrier,
       .text = "The certificates of whom to trust.",
       .required = required,
       .example = "\"/etc/holdfast/ca.pem\""},
      {.name = "cert_file",
       .value = value::path(&TlsConfig::cert_file),
       .reload = next_carrier,
       .text = "The client's own, with any between it and the authority's.",
       .required = required,
       .example = "\"/etc/holdfast/edge-1.pem\""},
      {.name = "key_file",
       .value = value::path(&TlsConfig::key_file),
       .reload = next_carrier,
       .text = "Its key; readable by its owner only, or owned by root and readable by its group.",
       .required = required,
       .example = "\"/etc/holdfast/edge-1.key\""},
      {.name = "server_name",
       .value = value::text(&TlsConfig::server_name),
       .reload = next_carrier,
       .text = "The name that the server's certificate must have.",
       .absent = "Default: the host of the address that was dialled.",
       .example = "\"hub.example.org\""},
  };
  return tls;
}

// Where applications connect, or what they are turned to: `mode` says how it is read.
Value<ClientServiceConfig> service_listen() {
  const std::string type = "_address_ or array of _address_";
  const value::ListForm form{.may_be_empty = false};
  const auto direct = value::list(&ClientServiceConfig::listen, parse_own_listener, type, form);
  const auto turned =
      value::list(&ClientServiceConfig::listen, parse_intercept_address, type, form);
  auto either = direct;
  either.read = [direct, turned](TableReader& table, const std::string& key, const Loading& loading,
                                 ClientServiceConfig& service) {
    if (!rules::is_turned_to(table)) return direct.read(table, key, loading, service);
    table.require(key, "the port that connections are turned to, as in listen = \"*:15001\"");
    return turned.read(table, key, loading, service);
  };
  return either;
}

SectionKeys<ClientServiceConfig> make_service() {
  const std::string theirs = "the server's [services.NAME] sets it";
  SectionKeys<ClientServiceConfig> service;
  service.name = "services.NAME";
  service.heading = "[services.NAME]";
  service.text = "NAME is what the server calls the service.";
  service.example = "[services.postgres]";
  service.keys = {
      {.name = "listen",
       .value = service_listen(),
       .reload = listener,
       .text = "Where applications connect: \"host:port\", \"\\*:port\" for every address of both "
               "families, \"unix:/path\", \"systemd:NAME\", or several of them. A name is looked "
               "up again every minute, and the listener follows it.",
       .required = "where applications connect, as in listen = \"127.0.0.1:5432\"",
       .example = "\"127.0.0.1:5432\"",
       .in_use = true},
      {.name = "link",
       .value = value::text(&ClientServiceConfig::link),
       .reload = new_connections,
       .text = "The NAME of the *[links.NAME]* whose server has the service.",
       .absent = "Required where there are several links, else the only one.",
       .example = "\"default\""},
      {.name = "mode",
       .value = value::word(&ClientServiceConfig::mode, kServiceModes),
       .reload = listener,
       .text =
           "How connections come to *listen*: explicit (applications connect to it), redirect "
           "or tproxy (nftables turns connections to other addresses to it: *holdfast-client "
           "nft* prints the rules). With redirect the rules change the destination, with tproxy "
           "they leave it alone, which needs CAP_NET_RAW. *listen* has TCP addresses alone then, "
           "mostly \"\\*:port\"; services with the same *mode* may share one. "
           "Whoever connects to it without being turned to it is reset."},
      {.name = "match",
       .value = value::list(&ClientServiceConfig::match, parse_address_pattern,
                            "_string_ or array of _string_"),
       .reload = new_connections,
       .text = "The destinations that are this service's: \"10.0.5.0/24:5432\", "
               "\"[2001:db8::/32]:8000-8099\", \"10.0.5.7:\\*\". Where several services fit, the "
               "longest prefix wins, then the fewest ports.",
       .absent = "Required with redirect and tproxy, else a mistake.",
       .example = "[]"},
      {.name = "travel",
       .value = value::boolean(&ClientServiceConfig::travel),
       .reload = new_connections,
       .text =
           "With redirect and tproxy: the destination travels to the server, which connects "
           "there if *allow* of the client's *[clients.NAME]* has it. NAME is then the client's "
           "own, and the server calls the service \"\\*\". Else the destination only tells the "
           "service."},
      {.name = "mirror",
       .value = value::boolean(&ClientServiceConfig::mirror),
       .reload = at_once,
       .text = "While the server says that the service's target is down, nobody listens here: a "
               "new application is refused, as it would be by the target. Needs *mirror* at the "
               "server, and a listener that no other service shares."},
      {.name = "freebind",
       .value = value::boolean(&ClientServiceConfig::freebind),
       .reload = at_once,
       .text =
           "*listen* is bound also where the host does not have the address yet (IP_FREEBIND), as "
           "one that a failover moves. Without it such an address is tried again until the host "
           "has it."},
      {.name = "socket_mode",
       .value =
           value::parsed(&ClientServiceConfig::socket_mode, parse_file_mode, "_mode_", "\"0660\""),
       .reload = at_once,
       .text = "Who may connect to a Unix socket of *listen*: its file's mode, as in \"0660\".",
       .absent = "Default: what the agent's umask leaves of 0777.",
       .example = "\"0660\""},
      {.name = "socket_user",
       .value = value::account(&ClientServiceConfig::socket_user, find_user),
       .reload = at_once,
       .text = "Its file's owner, a name or a number. Only root may give a file away.",
       .absent = "Default: the agent's own user.",
       .example = "\"postgres\""},
      {.name = "socket_group",
       .value = value::account(&ClientServiceConfig::socket_group, find_group),
       .reload = at_once,
       .text = "Its file's group; one that the agent's user is in, unless that is root.",
       .absent = "Default: the agent's own group.",
       .example = "\"postgres\""},
      {.name = "keepalive",
       .value = value::duration(&ClientServiceConfig::keepalive, kKeepaliveRange),
       .reload = at_once,
       .text =
           "A host of applications that gives no sign for so long is gone, and its "
           "connections end (client_vanished): it is asked when it is silent, and what was sent "
           "to it must be acknowledged. An application that does not read is no such case.",
       .absent = "Default: 15m, or the service's grace where that is longer.",
       .example = "\"15m\""},
      {.name = "idle_timeout",
       .value = value::duration(&ClientServiceConfig::idle_timeout, kPatienceRange),
       .reload = at_once,
       .text = "A connection of which no byte has passed here for so long, either way, is reset at "
               "both ends (idle_timeout). Outages do not count.",
       .absent = "Default: none.",
       .example = "\"2h\""},
      {.name = "half_close_timeout",
       .value = value::duration(&ClientServiceConfig::half_close_timeout, kPatienceRange),
       .reload = at_once,
       .text = "The same where one end has closed and the other has not (half_close_timeout): an "
               "application that went away while its service neither writes nor closes.",
       .absent = "Default: none.",
       .example = "\"5m\""},
      {.name = "accept_proxy",
       .value = value::boolean(&ClientServiceConfig::accept_proxy),
       .reload = new_connections,
       .text = "Applications come through a balancer that sends a PROXY header (version 1 or 2) "
               "first. Without one, or when it takes longer than 5 s, the connection is reset."},
      {.name = "accept_proxy_from",
       .value = value::list(&ClientServiceConfig::accept_proxy_from, parse_network,
                            "_string_ or array of _string_"),
       .reload = new_connections,
       .text = "The addresses (\"10.0.0.5\") and networks (\"10.1.0.0/16\") of the balancers. "
               "Everybody else is reset.",
       .absent = "Required with *accept_proxy*.",
       .example = "[]"},
  };
  service.elsewhere = {{"target", theirs},
                       {"grace", theirs},
                       {"connect_timeout", theirs},
                       {"send_proxy", theirs},
                       {"source", theirs}};
  return service;
}

SectionKeys<NftConfig> make_nft() {
  SectionKeys<NftConfig> nft;
  nft.name = "nft";
  nft.heading = "[nft] at the client";
  nft.keys = {
      {.name = "exclude",
       .value =
           value::list(&NftConfig::exclude, value::parse_exclusion, "_string_ or array of _string_",
                       {.may_repeat = true,
                        .hint = "write uid:holdfast, "
                                "cgroup:system.slice/holdfast-client.service or mark:18503"}),
       .reload = ReloadEffect::nft,
       .text =
           "Whose own connections are left alone, so that the agent's link is not caught by "
           "its own rules: \"uid:NAME\", \"cgroup:system.slice/holdfast-client.service\", or "
           "\"mark:NUMBER\". With a mark the agent gives it to its link's sockets, which needs "
           "CAP_NET_ADMIN or, from Linux 5.17 on, CAP_NET_RAW. A changed mark is theirs from the "
           "next carrier after a reload on: run *nft --apply* before it.",
       .absent = "Default: the user holdfast, or who runs *nft* where there is no such user "
                 "(*nft* warns of it).",
       .example = "[]"},
  };
  return nft;
}

}  // namespace

const SectionKeys<ClientLinkConfig>& client_link_keys() {
  static const auto keys = make_link();
  return keys;
}

const SectionKeys<TlsConfig>& client_tls_keys() {
  static const auto keys = make_tls();
  return keys;
}

const SectionKeys<ClientServiceConfig>& client_service_keys() {
  static const auto keys = make_service();
  return keys;
}

const SectionKeys<NftConfig>& client_nft_keys() {
  static const auto keys = make_nft();
  return keys;
}

}  // namespace holdfast
