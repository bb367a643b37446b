// The keys of a server's config.
#include "common/config/keys.h"
#include "common/config/rules.h"
#include "common/config/values.h"
#include "common/config/values_text.h"

namespace holdfast {
namespace {

using enum ReloadEffect;

SectionKeys<ServerLinkConfig> make_link() {
  SectionKeys<ServerLinkConfig> link;
  link.name = "link";
  link.heading = "[link]";
  link.example = "[link]";
  link.keys = {
      {.name = "listen",
       .value = value::list(&ServerLinkConfig::listen, parse_own_listener,
                            "_address_ or array of _address_",
                            {.may_be_empty = false, .may_repeat = true}),
       .reload = listener,
       .text = "Where client agents connect: \"host:port\", \"\\*:port\" for every address of both "
               "families, \"systemd:NAME\", or several of them. A name is looked up again every "
               "minute, and the listener follows it.",
       .required = "where client agents connect, as in listen = [\"0.0.0.0:7443\"]",
       .example = "[\"0.0.0.0:7443\"]",
       .in_use = true},
      {.name = "freebind",
       .value = value::boolean(&ServerLinkConfig::freebind),
       .reload = at_once,
       .text =
           "*listen* is bound also where the host does not have the address yet (IP_FREEBIND), as "
           "one that a failover moves. Without it such an address is tried again until the host "
           "has it."},
      {.name = "grace",
       .value = value::duration(&ServerLinkConfig::grace, kGraceRange),
       .reload = next_carrier,
       .text = "How long connections outlive the loss of the network between the agents."},
      {.name = "unsafe_plaintext",
       .value = value::boolean(&ServerLinkConfig::unsafe_plaintext),
       .reload = next_carrier,
       .text = "Without encryption and without proof of who is who, for tests and wires you trust "
               "wholly. Both sides must say it; *[clients.NAME]* then needs no *psk_file*."},
      {.name = "heartbeat",
       .value = value::duration(&ServerLinkConfig::heartbeat, kHeartbeatRange),
       .reload = next_carrier,
       .text = "Where set, it wins over the client's.",
       .absent = "Default: each client's own.",
       .example = "\"1s\""},
      {.name = "dead_after",
       .value = value::duration(&ServerLinkConfig::dead_after, kDeadAfterRange),
       .reload = next_carrier,
       .text = "Where set, it wins over the client's.",
       .absent = "Default: each client's own.",
       .example = "\"15s\""},
      {.name = "handshake_timeout",
       .value = value::duration(&ServerLinkConfig::handshake_timeout, kTimeoutRange),
       .reload = next_carrier,
       .text = "From an accepted socket to an established link. Whoever has not proved who they "
               "are by then is dropped."},
      {.name = "max_window",
       .value = value::size(&ServerLinkConfig::max_window, kWindowRange),
       .reload = at_once,
       .text = "The most bytes of one connection under way to this side, as at the client."},
      {.name = "congestion_control",
       .value = value::checked_text(&ServerLinkConfig::congestion_control, "_name_",
                                    value::read_congestion_control),
       .reload = next_carrier,
       .text = "How this end paces what it sends over links (*tcp*(7)), as in \"bbr\" or "
               "\"cubic\". As at the client.",
       .absent = "Default: the host's.",
       .example = "\"cubic\""},
      {.name = "mptcp",
       .value = value::boolean(&ServerLinkConfig::mptcp),
       .reload = restart,
       .text =
           "Clients may use Multipath TCP, as at the client; those that do not use TCP, as ever."},
      {.name = "home",
       .value = value::checked_text(&ServerLinkConfig::home, "_name_", value::read_home),
       .reload = next_carrier,
       .text = "The DNS name that balancers know this server by, and no other server has. Clients "
               "are told, and send it in clear as the TLS hello's server name (SNI) when they "
               "resume a link, so that a balancer can bring them back to the server that has it.",
       .absent = "Default: none; a server without a balancer needs none.",
       .example = "\"hub-1.hub.example.org\""},
      {.name = "home_address",
       .value = value::parsed(&ServerLinkConfig::home_address, parse_tcp_address, "_address_",
                              "\"host:port\""),
       .reload = next_carrier,
       .text = "Where clients reach this server without the balancer. They are told, and dial it "
               "first when they resume a link, for balancers that do not look at names.",
       .absent = "Default: none.",
       .example = "\"hub-1.example.org:7443\""},
      {.name = "accept_proxy",
       .value = value::boolean(&ServerLinkConfig::accept_proxy),
       .reload = next_carrier,
       .text = "Clients come through balancers, which say whose each connection is by a PROXY "
               "header (version 1 or 2). Seats of newcomers, the log and *links* go by the "
               "client's own address then. Who sends no header is not let in."},
      {.name = "accept_proxy_from",
       .value =
           value::list(&ServerLinkConfig::accept_proxy_from, parse_network, "array of _network_"),
       .reload = next_carrier,
       .text = "The balancers, as addresses or networks. Nobody else reaches *listen* then.",
       .absent = "Required with *accept_proxy*.",
       .example = "[\"10.0.0.5\"]"},
  };
  link.without_effect = {
      {"open_timeout",
       "connect_timeout of [services.NAME] says how long a target may take, open_timeout at the "
       "client how long an application waits for the link"}};
  link.elsewhere = {{"psk_file", "at the server each [clients.NAME] has a psk_file of its own"},
                    {"server", "it stands at the client; the server has listen = [\"host:port\"]"}};
  return link;
}

SectionKeys<TlsConfig> make_tls() {
  SectionKeys<TlsConfig> tls;
  tls.name = "link.tls";
  tls.heading = "[link.tls]";
  tls.text = "Certificates, for clients without a *psk_file*.";
  tls.example = "#[link.tls]";
  const std::string required = "[link.tls] needs ca_file, cert_file and key_file";
  tls.keys = {
      {.name = "ca_file",
       .value = value::path(&TlsConfig::ca_file),
       .reload = next_carrier,
       .text = "The certificates of whom to trust: an authority for nothing else.",
       .required = required,
       .example = "\"/etc/holdfast/ca.pem\""},
      {.name = "cert_file",
       .value = value::path(&TlsConfig::cert_file),
       .reload = next_carrier,
       .text = "The server's own, with any between it and the authority's.",
       .required = required,
       .example = "\"/etc/holdfast/hub.pem\""},
      {.name = "key_file",
       .value = value::path(&TlsConfig::key_file),
       .reload = next_carrier,
       .text = "Its key; readable by its owner only, or owned by root and readable by its group.",
       .required = required,
       .example = "\"/etc/holdfast/hub.key\""},
  };
  tls.elsewhere = {{"server_name", "only the client verifies the server's name"}};
  return tls;
}

SectionKeys<PeerConfig> make_client() {
  SectionKeys<PeerConfig> client;
  client.name = "clients.NAME";
  client.heading = "[clients.NAME]";
  client.text =
      "NAME is the *name* in the client's config, and in its certificate where it has one.";
  client.example = "[clients.edge-1]";
  client.keys = {
      {.name = "psk_file",
       .value = value::secret_path(&PeerConfig::psk_file),
       .reload = next_carrier,
       .text = "A file of mode 600 with the line that the client has; no two clients share a key. "
               "May be \"credential:NAME\".",
       .absent = "Default: none; required without *[link.tls]*.",
       .example = "\"/etc/holdfast/edge-1.psk\"",
       .in_use = true},
      {.name = "services",
       .value = value::list(&PeerConfig::services, value::any_text, "array of _string_",
                            {.single = TableReader::Single::refused, .may_repeat = true}),
       .reload = new_connections,
       .text = "The services that this client may ask for.",
       .example = "[\"postgres\"]",
       .in_use = true},
      {.name = "allow",
       .value =
           value::list(&PeerConfig::allow, parse_address_pattern, "_string_ or array of _string_"),
       .reload = new_connections,
       .text =
           "Where this client's intercepted connections that name no service (*travel* at the "
           "client) may go, as \"10.0.5.0/24:5432\", \"[2001:db8::/32]:22\" or "
           "\"10.0.5.7:8000-8099\". Names are not looked up. The server's own loopback is never "
           "meant by a wider pattern: \"0.0.0.0/0:\\*\" does not allow 127.0.0.1, "
           "\"127.0.0.1:5432\" does.",
       .absent = "Default: none.",
       .example = "[\"10.0.5.0/24:5432\", \"[2001:db8:5::/64]:5432\"]"},
      {.name = "source",
       .value = value::word(&PeerConfig::source, kSourceWords),
       .reload = new_connections,
       .text = "From which address connections that *allow* permits are made, as *source* in "
               "*[services.NAME]*."},
      {.name = "sources",
       .value = value::list(&PeerConfig::sources, parse_network, "_string_ or array of _string_"),
       .reload = new_connections,
       .text =
           "Where this client's applications may be: \"10.0.0.0/8\", \"192.0.2.7\". A client "
           "agent says where a connection comes from, and services that are told so believe it; "
           "a connection from elsewhere ends with *not_allowed*.",
       .absent = "Default: any address for *send_proxy*, none for *source* = \"client\".",
       .example = "[\"10.0.0.0/8\"]"},
      {.name = "expires",
       .value = value::parsed(&PeerConfig::expires, parse_instant, "_date_", "\"2026-12-31\""),
       .reload = next_carrier,
       .text =
           "When this client's access ends: \"2026-12-31\" or \"2026-12-31T18:00:00Z\", UTC, by "
           "the server's clock. From then on it is refused (*auth*), whether it was ever let in "
           "or not. As with a certificate that ends, a carrier that stands goes on until it is "
           "lost; *reload --revoke* after taking the client away ends it at once.",
       .absent = "Default: never.",
       .example = "\"2026-12-31\""},
      {.name = "links",
       .value = value::count(&PeerConfig::links, {1, 256}),
       .reload = at_once,
       .text = "How many links this client may have; the lanes of one (*parallel*) count as one."},
      {.name = "connections",
       .value = value::count(&PeerConfig::connections, kConnectionsRange),
       .reload = next_carrier,
       .text = "How many connections it may have, on all its links together, below *[limits]*.",
       .absent = "Default: none of its own.",
       .example = "1000"},
      // A client's share may be smaller than an agent's whole memory.
      {.name = "memory",
       .value = value::size(&PeerConfig::memory, {kMiB, kMemoryRange.most}),
       .reload = at_once,
       .text = "How much memory it may take, on all its links together, above the 16KiB that each "
               "connection owns in any case, below *[limits]*.",
       .absent = "Default: none of its own.",
       .example = "\"64MiB\""},
  };
  return client;
}

SectionKeys<ServerServiceConfig> make_service() {
  SectionKeys<ServerServiceConfig> service;
  service.name = "services.NAME";
  service.heading = "[services.NAME]";
  service.example = "[services.postgres]";
  service.keys = {
      {.name = "target",
       .value = value::parsed(&ServerServiceConfig::target, parse_address, "_address_",
                              "\"127.0.0.1:5432\""),
       .reload = new_connections,
       .text = "The backend. May be \"unix:/path\".",
       .required = "the backend's address, as in target = \"127.0.0.1:5432\"",
       .example = "\"127.0.0.1:5432\"",
       .in_use = true,
       .check = rules::target_can_carry_resets},
      {.name = "grace",
       .value = value::duration(&ServerServiceConfig::grace, kGraceRange),
       .reload = next_carrier,
       .text = "Longer or shorter than the link's.",
       .absent = "Default: the link's.",
       .example = "\"10m\""},
      {.name = "connect_timeout",
       .value = value::duration(&ServerServiceConfig::connect_timeout, kTimeoutRange),
       .reload = new_connections,
       .text = "How long connecting to the target may take."},
      {.name = "keepalive",
       .value = value::duration(&ServerServiceConfig::keepalive, kKeepaliveRange),
       .reload = at_once,
       .text =
           "A host of the target that gives no sign for so long is gone, and its "
           "connections end (target_vanished): it is asked when it is silent, and what was sent "
           "to it must be acknowledged. An application that does not read is no such case.",
       .absent = "Default: 15m, or the service's grace where that is longer.",
       .example = "\"15m\""},
      {.name = "idle_timeout",
       .value = value::duration(&ServerServiceConfig::idle_timeout, kPatienceRange),
       .reload = at_once,
       .text = "A connection of which no byte has passed here for so long, either way, is reset at "
               "both ends (idle_timeout). Outages do not count.",
       .absent = "Default: none.",
       .example = "\"2h\""},
      {.name = "half_close_timeout",
       .value = value::duration(&ServerServiceConfig::half_close_timeout, kPatienceRange),
       .reload = at_once,
       .text = "The same where one end has closed and the other has not (half_close_timeout): an "
               "application that went away while its service neither writes nor closes.",
       .absent = "Default: none.",
       .example = "\"5m\""},
      {.name = "send_proxy",
       .value = value::word(&ServerServiceConfig::send_proxy, kSendProxyWords),
       .reload = new_connections,
       .text = "Tells the service whose connection it is, by a PROXY header of that version before "
               "the first byte; the service must expect it. The header has the application's "
               "address and where it meant to go, or else the target's address; version 2 also has "
               "the connection's id (PP2_TYPE_UNIQUE_ID). An application at a Unix socket is "
               "UNKNOWN."},
      {.name = "mirror",
       .value = value::boolean(&ServerServiceConfig::mirror),
       .reload = at_once,
       .text = "Connects to the target every *check_interval*, and tells clients when it is down: "
               "refused, out of reach or unresolved. See *mirror* of the client."},
      {.name = "check",
       .value = value::boolean(&ServerServiceConfig::check),
       .reload = at_once,
       .text = "The same for who looks: *status*, the page and alerts of both agents tell from "
               "the start whether the target takes connections, and do not wait for the first "
               "application. *mirror* checks, too."},
      {.name = "check_interval",
       .value = value::duration(&ServerServiceConfig::check_interval,
                                {milliseconds(100), seconds(3600)}),
       .reload = at_once,
       .text = "How often a target with *mirror* or *check* is asked."},
      {.name = "source",
       .value = value::word(&ServerServiceConfig::source, kSourceWords),
       .reload = new_connections,
       .text = "With \"client\" the service is connected to from the application's own address "
               "(IP_TRANSPARENT): it needs CAP_NET_RAW, answers must be routed back to this host "
               "(*holdfast-server nft* prints how), and *sources* of the client must have the "
               "address."},
  };
  service.elsewhere = {{"listen", "the client's [services.NAME] sets it"},
                       {"link", "the client's [services.NAME] sets it"}};
  return service;
}

}  // namespace

const SectionKeys<ServerLinkConfig>& server_link_keys() {
  static const auto keys = make_link();
  return keys;
}

const SectionKeys<TlsConfig>& server_tls_keys() {
  static const auto keys = make_tls();
  return keys;
}

const SectionKeys<PeerConfig>& server_client_keys() {
  static const auto keys = make_client();
  return keys;
}

const SectionKeys<ServerServiceConfig>& server_service_keys() {
  static const auto keys = make_service();
  return keys;
}

}  // namespace holdfast
