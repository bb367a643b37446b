// ClientLinks: a client agent's links on one loop, and what they share there.
#pragma once

#include <compare>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/core/memory_pool.h"
#include "common/net/client_link.h"
#include "common/net/memory_trimmer.h"
#include "common/net/netlink.h"

namespace holdfast {

// How welcome a new connection is: the least is asked first.
struct LinkLoad {
  bool leaves = false;  // it retires, or its server drains
  bool down = false;
  std::size_t streams = 0;
  auto operator<=>(const LinkLoad&) const = default;
};

class ClientLinks {
 public:
  // `memory` in bytes and `connections` are this loop's part; `quota` is all loops'.
  ClientLinks(Loop& loop, std::vector<ClientLinkOptions> links, std::uint64_t memory,
              std::uint32_t connections, StreamQuota& quota, Observer& observer,
              ClientLink::Host& host);

  // At the end of a turn. True: there is more to do.
  bool pump();
  // A reload: links come, change and go.
  void reconfigure(std::vector<ClientLinkOptions> links, bool revoke);
  // One more.
  void add(ClientLinkOptions options);
  // It takes no new connections, and says goodbye after its last one. False: it is not here.
  bool retire(std::string_view name);
  // The lane of this name retires, and its successor is added; what its server never heard of goes
  // there, too.
  void replace(std::string_view name, ClientLinkOptions successor);

  // The link of a group that a new connection goes to: one that is up, with the fewest; null: there
  // is none, or all are leaving.
  ClientLink* choose(std::string_view group);
  std::optional<LinkLoad> load(std::string_view group);
  // Of the links' servers, as far as they are known, and a number that changes with them.
  std::vector<Endpoint> addresses() const;
  std::uint64_t addresses_version() const;

  // False: there is no such connection.
  bool kill(const ConnectionName& connection);
  // Goodbye by all of them; over() when it is said, or cannot be.
  void leave(Cause cause);
  bool over();

  const std::vector<std::unique_ptr<ClientLink>>& all() const { return links_; }
  std::size_t stream_count() const;
  Resolver& resolver() { return resolver_; }
  const MemoryPool& pool() const { return pool_; }

 private:
  // By its own name; null: there is none, or it is leaving.
  ClientLink* find(std::string_view name);

  Loop& loop_;
  Observer& observer_;
  ClientLink::Host& host_;
  MemoryPool pool_;
  MemoryTrimmer trimmer_;
  Resolver resolver_;
  ClosingCarriers closing_;
  std::uint64_t next_carrier_ = 0;
  bool leaving_ = false;
  std::vector<std::unique_ptr<ClientLink>> links_;
  NetworkWatcher network_;
};

}  // namespace holdfast
