// What a config file says, as plain structs, with every default filled in.
//
// Loading is in load.h. Paths are absolute or `credential:NAME` (see psk.h): a relative one has
// been resolved against the folder of the config file. Every struct compares, for reloads.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/network.h"
#include "common/base/time.h"
#include "common/config/accounts.h"
#include "common/config/address.h"
#include "common/config/instant.h"

namespace holdfast {

// ---- Defaults and limits, with their reasons ---------------------------------------------------

inline constexpr Duration kDefaultHeartbeat = seconds(1);
inline constexpr Duration kDefaultDeadAfter = seconds(15);
inline constexpr Duration kDefaultHandshakeTimeout = seconds(10);
inline constexpr Duration kDefaultOpenTimeout = seconds(30);
inline constexpr Duration kDefaultConnectTimeout = seconds(10);
inline constexpr Duration kDefaultCheckInterval = seconds(2);
inline constexpr Duration kDefaultGrace = seconds(5 * 60);
inline constexpr Duration kDefaultShutdownTimeout = seconds(60);
inline constexpr std::uint64_t kDefaultMaxWindow = 16 * kMiB;
inline constexpr std::uint64_t kDefaultMemory = 256 * kMiB;
inline constexpr std::uint64_t kDefaultConnections = 10'000;
inline constexpr std::uint64_t kDefaultConnectionLines = 1000;
inline constexpr std::uint64_t kDefaultClientLinks = 16;

// Less than this cannot hold a few windows, and throughput falls apart before memory is short.
inline constexpr std::uint64_t kMinMemory = 16 * kMiB;
// What one connection owns of the memory in any case: 8 KiB each way.
inline constexpr std::uint64_t kMemoryPerConnection = 2 * 8 * kKiB;
// Names travel in the handshake and stand in logs and metrics.
inline constexpr std::size_t kMaxNameBytes = 64;

// ---- Alike on both sides
// -------------------------------------------------------------------------

struct AdminConfig {
  std::string socket;  // path of the Unix socket that the subcommands talk to
  std::optional<TcpAddress> metrics;
  std::optional<Account> group;   // may use the socket, besides its owner
  std::optional<Account> user{};  // the socket's owner; nothing: the agent's own
  FileMode mode{0660};            // the socket's
  bool freebind = false;          // metrics: also where the host does not have the address yet
  bool operator==(const AdminConfig&) const = default;
};

struct LimitsConfig {
  std::uint64_t memory = kDefaultMemory;  // bytes, for the buffers of all connections together
  std::uint64_t connections = kDefaultConnections;
  bool operator==(const LimitsConfig&) const = default;
};

// The words of each enum stand in the order of its values.
enum class LogLevel { error, warn, info, debug, trace };
inline constexpr std::array<const char*, 5> kLogLevels = {"error", "warn", "info", "debug",
                                                          "trace"};
enum class LogFormat { text, json, journal };
inline constexpr std::array<const char*, 3> kLogFormats = {"text", "json", "journal"};
const char* to_string(LogLevel level);
const char* to_string(LogFormat format);

struct LogConfig {
  LogLevel level = LogLevel::info;
  LogFormat format = LogFormat::text;
  std::optional<std::string> file;        // else standard error
  std::optional<std::string> trace_file;  // protocol events, one JSON object a line
  std::uint64_t connection_lines = kDefaultConnectionLines;  // a second, for each peer
  bool operator==(const LogConfig&) const = default;
};

struct TlsConfig {
  std::string ca_file;                     // whom to trust
  std::string cert_file;                   // who we are
  std::string key_file;                    // a secret: checked like a psk_file
  std::optional<std::string> server_name;  // client only: the name to verify
  bool operator==(const TlsConfig&) const = default;
};

// The rules and routes that `nft` prints and applies.
struct NftConfig {
  std::string table = "holdfast_client";  // in the family inet
  // Marks what is to be delivered here though its address is another host's, and the routing table
  // that does it.
  std::uint64_t mark = 0x4846;
  std::uint64_t route_table = 18502;
  std::vector<std::string> exclude;  // client: whose own traffic is left alone: "uid:holdfast", ...
  bool operator==(const NftConfig&) const = default;
};

// The top of the file and the tables that both agents have.
struct CommonConfig {
  std::string name;
  NftConfig nft;
  AdminConfig admin;
  LimitsConfig limits;
  LogConfig log;
  Duration shutdown_timeout = kDefaultShutdownTimeout;
  unsigned threads = 1;
  bool operator==(const CommonConfig&) const = default;
};

// ---- holdfast-client
// -----------------------------------------------------------------------------

// At which of its addresses a link begins to look for a server.
enum class Balance { first, random };
inline constexpr std::array<const char*, 2> kBalanceWords = {"first", "random"};
const char* to_string(Balance balance);
// [link] sni: no name in clear.
inline constexpr const char* kNoSni = "off";

struct ClientLinkConfig {
  std::vector<TcpAddress> server;  // addresses of one server agent, tried in order; at least one
  std::optional<std::string> psk_file;
  std::optional<TlsConfig> tls;
  bool unsafe_plaintext = false;  // exactly one of these three, or plaintext beside an unused key
  Duration heartbeat = kDefaultHeartbeat;
  Duration dead_after = kDefaultDeadAfter;
  Duration handshake_timeout = kDefaultHandshakeTimeout;
  std::uint64_t max_window = kDefaultMaxWindow;  // bytes, per connection and direction
  Duration open_timeout = kDefaultOpenTimeout;
  std::optional<std::string> congestion_control;  // tcp(7); nothing: the host's
  std::uint64_t parallel = 0;                     // lanes; 0: as many as help
  bool mptcp = false;                             // carriers may use several paths at once
  // What the hello says of whom it is for, in clear; nothing: by the kind of proof.
  std::optional<std::string> sni{};
  Balance balance = Balance::first;
  bool operator==(const ClientLinkConfig&) const = default;
};

// How applications come to a listener: by its address, or turned to it on their way to another.
enum class ServiceMode { explicit_address, redirect, tproxy };
inline constexpr std::array<const char*, 3> kServiceModes = {"explicit", "redirect", "tproxy"};
const char* to_string(ServiceMode mode);

struct ClientServiceConfig {
  std::vector<ListenAddress> listen;  // at least one
  std::string link;                   // whose server has it; stands in ClientConfig::links
  ServiceMode mode = ServiceMode::explicit_address;
  std::vector<AddressPattern> match{};  // which destinations are turned to it; none without a mode
  bool travel = false;                  // the destination goes to the server, which connects there
  bool mirror = false;                  // closed while the server says that the target is down
  bool accept_proxy = false;
  std::vector<Network> accept_proxy_from{};
  bool freebind = false;  // listens also where the host does not have the address yet
  // The files of Unix sockets to listen on; nothing: as the umask and the agent's user have it.
  std::optional<FileMode> socket_mode{};
  std::optional<Account> socket_user{};
  std::optional<Account> socket_group{};
  // See tunnel/patience.h.
  std::optional<Duration> keepalive{};
  std::optional<Duration> idle_timeout{};
  std::optional<Duration> half_close_timeout{};
  bool operator==(const ClientServiceConfig&) const = default;
};

// What the link of the simple form, [link], is called.
inline constexpr const char* kDefaultLinkName = "default";

struct ClientConfig : CommonConfig {
  std::map<std::string, ClientLinkConfig> links;        // by name; at least one
  std::map<std::string, ClientServiceConfig> services;  // by name
  bool operator==(const ClientConfig&) const = default;
};

// ---- holdfast-server
// -----------------------------------------------------------------------------

struct ServerLinkConfig {
  std::vector<ListenAddress> listen;  // TCP or systemd sockets; at least one
  Duration grace = kDefaultGrace;
  std::optional<TlsConfig> tls;
  bool unsafe_plaintext = false;
  std::optional<Duration> heartbeat;   // where set, stronger than the client's
  std::optional<Duration> dead_after;  // likewise
  Duration handshake_timeout = kDefaultHandshakeTimeout;
  std::uint64_t max_window = kDefaultMaxWindow;
  std::optional<std::string> congestion_control;  // tcp(7); nothing: the host's
  bool freebind = false;              // listens also where the host does not have the address yet
  bool mptcp = false;                 // carriers may use several paths at once
  std::optional<std::string> home{};  // a DNS name by which balancers know this server
  std::optional<TcpAddress> home_address{};  // where it is without them
  bool accept_proxy = false;                 // carriers come through balancers, which say whose
  std::vector<Network> accept_proxy_from{};  // these
  bool operator==(const ServerLinkConfig&) const = default;
};

// Whether a service is told whose connection it is, by a header before the first byte.
enum class SendProxy { off, v1, v2 };
inline constexpr std::array<const char*, 3> kSendProxyWords = {"off", "v1", "v2"};
const char* to_string(SendProxy version);

// From which address connections to a target are made: the agent's, or the application's.
enum class SourceAddress { agent, client };
inline constexpr std::array<const char*, 2> kSourceWords = {"agent", "client"};
const char* to_string(SourceAddress source);

struct PeerConfig {  // one [clients.NAME]
  std::optional<std::string> psk_file;
  std::vector<std::string> services;  // what it may ask for; each stands in ServerConfig::services
  std::uint64_t links = kDefaultClientLinks;
  std::optional<std::uint64_t> connections;  // on all its links together
  std::optional<std::uint64_t> memory;       // bytes, of all its links together
  // Where intercepted connections that name no service may go; nothing is the default.
  std::vector<AddressPattern> allow{};
  SourceAddress source = SourceAddress::agent;  // of those connections
  // Where this client's applications may be: services that are told of an application's address
  // believe it. Nothing: any address, for a service that is told by a header, and none for one that
  // is connected to from there.
  std::optional<std::vector<Network>> sources{};
  std::optional<Instant> expires{};  // from then on it is not let in any more
  bool may_use(const std::string& service) const;
  bool operator==(const PeerConfig&) const = default;
};

struct ServerServiceConfig {
  Address target;
  std::optional<Duration> grace;  // else the link's
  Duration connect_timeout = kDefaultConnectTimeout;
  SendProxy send_proxy = SendProxy::off;
  SourceAddress source = SourceAddress::agent;
  bool mirror = false;  // the target is watched, and clients are told when it is down
  Duration check_interval = kDefaultCheckInterval;
  std::optional<Duration> keepalive{};  // this and the two below: tunnel/patience.h
  std::optional<Duration> idle_timeout{};
  std::optional<Duration> half_close_timeout{};
  bool check = false;  // the target is watched, for status and alerts; clients are told likewise
  bool operator==(const ServerServiceConfig&) const = default;
};

struct ServerConfig : CommonConfig {
  ServerLinkConfig link;
  std::map<std::string, PeerConfig> clients;            // by name
  std::map<std::string, ServerServiceConfig> services;  // by name
  bool operator==(const ServerConfig&) const = default;
};

}  // namespace holdfast
