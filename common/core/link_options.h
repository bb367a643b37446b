// What a link is told.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/time.h"
#include "common/core/client_share.h"
#include "common/wire/frames.h"

namespace holdfast {

// A service as the link needs it. Its index in the list is how records name it.
struct LinkService {
  std::string name;
  Duration grace{};     // server: as configured. Client: overwritten by WELCOME
  bool offered = true;  // false: a reload took it away; its streams stay, new ones are refused
  // Client: its OPENs name no service, and their destination decides.
  bool by_destination = false;
  // Client: what the server told last, by WELCOME or by its answer to an OPEN; nothing: not yet.
  std::optional<bool> granted{};
};

// What a server calls the streams whose OPEN names no service; it has them where this stands among
// its services. No name that a peer may say.
inline constexpr const char* kByDestination = "*";

struct LinkOptions {
  enum class Role : std::uint8_t { client, server };

  Role role = Role::client;
  std::string name;  // our own agent's
  std::vector<LinkService> services;
  Duration heartbeat = seconds(1);
  Duration dead_after = seconds(15);
  Duration handshake_timeout = seconds(10);
  Duration grace = seconds(300);  // server's; what a client assumes before its first WELCOME
  // Server: WELCOME says its heartbeat and dead_after, which then win. False: the client's stand.
  bool announce_liveness = true;
  Duration open_timeout = seconds(30);
  std::uint64_t max_window = 16 * kMiB;
  std::uint32_t max_streams = 10000;
  std::uint64_t memory_cap = UINT64_MAX;  // of the shared memory, each way
  // Server: for which both hold, too: all of the client's links together. Outlives them.
  ClientShare* share = nullptr;  // null: there is but one
  // Client: of all the process's links; zeros: the server is to tell no marks. Server: the
  // client's, by the last HELLO.
  MarkKey mark_key{};
  // Server: by what its clients find it again; as of the next carrier.
  Home home{};
  // Client only.
  std::uint32_t slot = 0;
  std::uint64_t start_id = 0;
  std::uint64_t first_ordinal = 1;
  bool trace = false;
};

}  // namespace holdfast
