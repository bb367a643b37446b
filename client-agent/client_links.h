// ClientLinks: a client agent's links on one loop, and what they share there.
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client-agent/client_link.h"
#include "common/core/lane_policy.h"
#include "common/core/lane_turns.h"
#include "common/core/memory_pool.h"
#include "common/io/netlink.h"
#include "common/tunnel/memory_trimmer.h"

namespace holdfast {

// How welcome a new connection is: the least is asked first.
struct LinkLoad {
  bool leaves = false;  // it retires, or its server drains
  bool down = false;
  std::size_t crowd = 0;   // streams that move much, or that nobody knows yet
  std::size_t bulk = 0;    // of these, those that move much
  std::size_t queued = 0;  // of what applications gave and the peer has not, in 64 KiB
  bool busy = false;
  std::size_t streams = 0;
  bool coming = false;  // not down for long
  auto operator<=>(const LinkLoad&) const = default;
};

// Which links a new connection may go to.
enum class Candidates : std::uint8_t {
  up,
  up_or_coming,  // or one that will be up in a moment
};
// A coming one counts until `until`.
inline Candidates candidates_at(Time now, Time until) {
  return now < until ? Candidates::up_or_coming : Candidates::up;
}

class ClientLinks {
 public:
  // `memory` in bytes and `connections` are this loop's part; `quota` is all loops'.
  ClientLinks(Loop& loop, std::vector<ClientLinkOptions> links, std::uint64_t memory,
              std::uint32_t connections, StreamQuota& quota, const MakeRegionMemory& make_state,
              Observer& observer, ClientLink::Owner& owner);

  // See ClientLink::go_on().
  void go_on(Relics& relics, RecoveryTally& tally);
  // At the end of a turn. True: there is more to do.
  bool pump();
  // A reload: links come, change and go.
  void reconfigure(std::vector<ClientLinkOptions> links, bool revoke);
  // One more; `until` as for ClientLink::expect().
  ClientLink& add(ClientLinkOptions options, Time until = {});
  // It takes no new connections, and says goodbye after its last one. False: it is not here.
  bool retire(std::string_view name);
  // The lane of this name retires, and its successor is added; what its server never heard of goes
  // there, too.
  ClientLink& replace(std::string_view name, ClientLinkOptions successor);

  // The link of a group that a new connection goes to: one that is up, with the fewest; null: there
  // is none, or all are leaving.
  ClientLink* choose(std::string_view group, Candidates candidates = Candidates::up);
  std::optional<LinkLoad> load(std::string_view group, Candidates candidates = Candidates::up);
  // The new connection is for this link, as chosen: it is opened, waits until the link is up, or
  // keeps its socket while there is no room.
  void admit(ClientLink& link, ClientHandover& comer);
  // Lanes of the group that take connections, as they were looked at last.
  std::vector<LaneState> lanes(std::string_view group) const;
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
  // It waits for a lane.
  struct Waiting {
    std::string lane;
    ClientHandover comer;
  };

  void settle_waiting();
  Duration busiest_beside(const ClientLink& lane) const;
  void look();
  void look_again();
  bool give_turns();
  // By its own name; null: there is none, or it is leaving.
  ClientLink* find(std::string_view name);

  Loop& loop_;
  Observer& observer_;
  ClientLink::Owner& owner_;
  MemoryPool pool_;
  MemoryTrimmer trimmer_;
  Resolver resolver_;
  ClosingCarriers closing_;
  std::uint64_t next_carrier_ = 0;
  bool leaving_ = false;
  std::vector<std::unique_ptr<ClientLink>> links_;
  std::vector<Waiting> waiting_;
  Timer patience_;                                       // of who waits
  Timer looked_;                                         // at the lanes
  std::map<std::string, LaneTurns, std::less<>> turns_;  // of groups whose lanes greet at length
  Timer turn_over_;
  NetworkWatcher network_;
};

}  // namespace holdfast
