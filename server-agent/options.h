// What a server agent's network is configured to do.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/core/link_registry.h"
#include "common/core/region_memory.h"
#include "common/io/resolver.h"
#include "common/io/socket.h"
#include "common/state/relics.h"
#include "common/tls/tls.h"
#include "common/tunnel/patience.h"
#include "common/tunnel/target.h"
#include "server-agent/stream_policy.h"

namespace holdfast {

struct ServerTarget {
  Target target;
  std::string name;  // the address as configured, for people
  std::optional<ProxyVersion> send_proxy;
  bool from_source = false;                // connected to from the application's address
  std::optional<Duration> check_interval;  // its target is watched, and clients are told
  Patience patience{};                     // with connections to it
};

struct ServerClient {
  ClientPolicy policy;
  StreamGrants grants;
  bool from_source = false;  // where a stream's destination decides, as in ServerTarget
  std::string key_id;        // of its pre-shared key; empty without one
  std::optional<std::int64_t> expires_s{};  // since the epoch; it is not let in from then on
};

struct ServerOptions {
  RegistryOptions registry;
  std::vector<NetListenAddress> listen;
  // Carriers come through balancers, which must be there and say whose each is.
  std::optional<std::vector<Network>> proxy_from{};
  bool freebind = false;                         // as for bind_sockets()
  bool mptcp = false;                            // likewise
  std::map<std::string, FoundAddresses> names;   // of listen addresses (look_up_names)
  std::map<std::string, ServerClient> clients;   // by the identity that the transport proves
  std::map<std::string, ServerTarget> services;  // by name
  std::unique_ptr<TlsContext> tls;  // null (unsafe_plaintext): a client's HELLO is believed
  std::string congestion_control;   // of carriers; empty: the host's
  std::uint64_t memory = 0;         // bytes
  std::uint32_t connections = 0;
  unsigned threads = 1;            // loops; each has its part of memory and connections
  std::size_t descriptors = 1024;  // RLIMIT_NOFILE
  Duration shutdown_timeout = seconds(60);
  // What links and streams lie in.
  MakeRegionMemory make_state = make_plain_memory;
  // What a process before this one left, until listen() is over; null: nothing.
  Relics* relics = nullptr;
};

}  // namespace holdfast
