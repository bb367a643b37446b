// What must hold between keys, and between a key and this machine. Each rule is a function with a
// name of its own: it reports what is wrong and where. A key's own type and range are in its entry
// (keys.h); a rule that looks at one value alone is named there as its `check`.
//
// A table is the reader of the section just read: filled("key") says whether a key stood there and
// was right.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/config/loading.h"
#include "common/config/table_reader.h"

namespace holdfast {

// Addresses that this agent binds, to find two uses of one.
class Listeners {
 public:
  // Reports a clash with an address added before. Uses of the same sort share one, unless it is "".
  void add(const ListenAddress& address, const Place& place, Report& report,
           const std::string& shared_by = "");

 private:
  struct Entry {
    ListenAddress address;
    Place place;
    std::string shared_by;
  };
  std::vector<Entry> entries_;
};

namespace rules {

// ---- One value alone

void metrics_are_local(const AdminConfig& admin, const Place& place, const Loading& loading);
void target_can_carry_resets(const ServerServiceConfig& service, const Place& place,
                             const Loading& loading);

// ---- Both sides

void no_reset_on_unix_socket(const Place& place, const Loading& loading);

// The admin socket's path is short enough, and its addresses are the agent's own.
void admin_listens_alone(const TableReader& admin_table, const AdminConfig& admin,
                         Listeners& listeners, const Loading& loading);

// Every connection has its least memory. Where the file does not say how many there may be, as many
// as leave room for windows.
void connections_fit_memory(TableReader& table, LimitsConfig& limits, const Loading& loading);
// Also that this build can write to the journal at all, if it is to.
void log_files_are_used(const TableReader& table, const LogConfig& log, const Loading& loading);
void threads_have_connections(const TableReader& top, const CommonConfig& agent,
                              const Loading& loading);

// dead_after must leave time for a heartbeat to be answered.
void dead_after_outlasts_heartbeat(const TableReader& link, Duration heartbeat, Duration dead_after,
                                   const Loading& loading);
void window_fits_memory(const TableReader& link, std::uint64_t max_window,
                        const LimitsConfig& limits, const Loading& loading);
// Says loudly that unsafe_plaintext is on.
void plaintext_is_unsafe(const TableReader& link, bool unsafe_plaintext, const Loading& loading);

// Looks at the file of a psk_file, and returns the id of the key in it where it could be read. When
// `used` is false (plaintext), only what exposes a secret is an error.
std::optional<std::string> psk_file_holds_key(const TableReader& table,
                                              const std::optional<std::string>& path, bool used,
                                              const Loading& loading);
// They can be read, and the key by its owner only. Notes the table, for whoever reads certificates.
void tls_files_are_readable(const TableReader& table, const TlsConfig& tls, const Loading& loading);

// ---- The client

// Exactly one of psk_file and [link.tls], unless plaintext is asked for.
void link_has_one_proof(TableReader& link, const ClientLinkConfig& set, const Loading& loading);
// [link] or [links.NAME], and something in it.
void links_have_one_form(TableReader& top, TableReader& links, const Loading& loading);
void threads_have_links(const TableReader& top, const ClientConfig& config, const Loading& loading);

// Whether `mode` of a [services.NAME] says that connections are turned to its listener.
bool is_turned_to(const TableReader& service);

// The agent would dial itself.
void listen_is_not_the_server(const TableReader& table, const ClientServiceConfig& service,
                              const std::map<std::string, ClientLinkConfig>& links,
                              const Loading& loading);

// What the services of a client must be to each other and to its links: for one after the other.
class ClientServices {
 public:
  // `links` are the names that there are, with mistakes of their own or without.
  ClientServices(std::vector<std::string> links, Listeners& listeners, const Loading& loading)
      : loading_(loading), links_(std::move(links)), listeners_(listeners) {}

  void check(const std::string& name, TableReader& table, ClientServiceConfig& service);
  // Links that none of them uses.
  void links_are_used(const TableReader& links) const;

 private:
  void listens_alone(const TableReader& table, const ClientServiceConfig& service);
  void socket_keys_have_a_socket(const TableReader& table, const ClientServiceConfig& service);
  void link_exists(TableReader& table, ClientServiceConfig& service);
  void match_goes_with_mode(TableReader& table, const ClientServiceConfig& service);
  void proxy_header_has_senders(TableReader& table, const ClientServiceConfig& service);
  void mirror_can_close(const TableReader& table, const ClientServiceConfig& service);

  const Loading& loading_;
  std::vector<std::string> links_;
  Listeners& listeners_;
  std::map<std::string, std::string> matches_;  // mode and pattern, to the service that has it
  std::map<std::string, ClientServiceConfig> seen_;
  bool unclear_ = false;  // a service's link is wrong, and which was meant is not known
};

// ---- The server

void link_listens_alone(const TableReader& link, Listeners& listeners, const Loading& loading);
// accept_proxy and accept_proxy_from belong together.
void proxy_headers_have_senders(TableReader& link, const ServerLinkConfig& set,
                                const Loading& loading);
// A stream to there would come back to the agent itself.
void target_is_not_the_link(const TableReader& table, const ServerServiceConfig& service,
                            const ServerLinkConfig& link, const Loading& loading);
void source_goes_with_target(const TableReader& table, const ServerServiceConfig& service,
                             const Loading& loading);

// What the clients of a server must be to each other and to its services: for one after the other.
class ServerClients {
 public:
  ServerClients(TableReader& link, const ServerConfig& config, const Loading& loading);

  void check(const std::string& name, TableReader& table, PeerConfig& client);

 private:
  void psk_file_is_its_own(const std::string& name, TableReader& table, const PeerConfig& client);
  void services_exist(TableReader& table, PeerConfig& client);
  void shares_fit_limits(const TableReader& table, const PeerConfig& client);
  void sources_are_named(const TableReader& table, const PeerConfig& client);

  const Loading& loading_;
  bool keyless_;  // whether a client may do without a psk_file
  const ServerConfig& config_;
  std::vector<std::string> services_;
  std::map<std::string, std::string> owners_;  // of paths and of keys' ids
};
void services_are_allowed(const TableReader& services, const ServerConfig& config,
                          const Loading& loading);

}  // namespace rules
}  // namespace holdfast
