// What a config file says, as plain structs, with every default filled in.
//
// Loading is in load.h. Paths are absolute or `credential:NAME` (see psk.h): a relative one has
// been resolved against the folder of the config file. Every struct compares, for reloads.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/time.h"
#include "common/config/address.h"

namespace holdfast {

// ---- Defaults and limits, with their reasons
// -----------------------------------------------------

inline constexpr Duration kDefaultHeartbeat = seconds(1);
inline constexpr Duration kDefaultDeadAfter = seconds(15);
inline constexpr Duration kDefaultHandshakeTimeout = seconds(10);
inline constexpr Duration kDefaultOpenTimeout = seconds(30);
inline constexpr Duration kDefaultConnectTimeout = seconds(10);
inline constexpr Duration kDefaultGrace = seconds(5 * 60);
inline constexpr Duration kDefaultShutdownTimeout = seconds(60);
inline constexpr std::uint64_t kDefaultMaxWindow = 16 * kMiB;
inline constexpr std::uint64_t kDefaultMemory = 256 * kMiB;
inline constexpr std::uint64_t kDefaultConnections = 10'000;
inline constexpr std::uint64_t kDefaultConnectionLines = 1000;

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
  std::optional<std::string> group;  // may use the socket, besides the agent's own user
  bool operator==(const AdminConfig&) const = default;
};

struct LimitsConfig {
  std::uint64_t memory = kDefaultMemory;  // bytes, for the buffers of all connections together
  std::uint64_t connections = kDefaultConnections;
  bool operator==(const LimitsConfig&) const = default;
};

enum class LogLevel { error, warn, info, debug, trace };
enum class LogFormat { text, json, journal };
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

// ---- holdfast-client
// -----------------------------------------------------------------------------

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
  bool operator==(const ClientLinkConfig&) const = default;
};

struct ClientServiceConfig {
  ListenAddress listen;
  std::string link;  // whose server has it; stands in ClientConfig::links
  bool operator==(const ClientServiceConfig&) const = default;
};

// What the link of the simple form, [link], is called.
inline constexpr const char* kDefaultLinkName = "default";

struct ClientConfig {
  std::string name;
  std::map<std::string, ClientLinkConfig> links;        // by name; at least one
  std::map<std::string, ClientServiceConfig> services;  // by name
  AdminConfig admin;
  LimitsConfig limits;
  LogConfig log;
  Duration shutdown_timeout = kDefaultShutdownTimeout;
  unsigned threads = 1;
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
  Duration open_timeout = kDefaultOpenTimeout;
  bool operator==(const ServerLinkConfig&) const = default;
};

struct PeerConfig {  // one [clients.NAME]
  std::optional<std::string> psk_file;
  std::vector<std::string> services;   // what it may ask for; each stands in ServerConfig::services
  std::optional<std::uint64_t> links;  // limits of this client's own
  std::optional<std::uint64_t> connections;
  std::optional<std::uint64_t> memory;  // bytes
  bool operator==(const PeerConfig&) const = default;
};

struct ServerServiceConfig {
  Address target;
  std::optional<Duration> grace;  // else the link's
  Duration connect_timeout = kDefaultConnectTimeout;
  bool operator==(const ServerServiceConfig&) const = default;
};

struct ServerConfig {
  std::string name;
  ServerLinkConfig link;
  std::map<std::string, PeerConfig> clients;            // by name
  std::map<std::string, ServerServiceConfig> services;  // by name
  AdminConfig admin;
  LimitsConfig limits;
  LogConfig log;
  Duration shutdown_timeout = kDefaultShutdownTimeout;
  unsigned threads = 1;
  bool operator==(const ServerConfig&) const = default;
};

}  // namespace holdfast
