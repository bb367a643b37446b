// ClientLanes: what a client agent's first loop knows of all lanes: what each link of the config is
// to be, which lanes it has, and which loop each of them is on.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client-agent/link_spread.h"
#include "common/core/lane_slots.h"

namespace holdfast {

class ClientLanes {
 public:
  explicit ClientLanes(std::size_t loops) : loops_(loops) {}

  // At the start, and at a reload: the links of the config, each as its lane 0 is to be. What each
  // loop is to have then: the lanes that a link has at once, and those that were opened besides and
  // may stay. `where` as for spread_links().
  LinkSpread spread(std::vector<ClientLinkOptions> links,
                    const std::function<std::optional<std::size_t>(const std::string&)>& where);

  struct Opened {
    std::size_t loop = 0;
    ClientLinkOptions options;
  };
  // One more lane, which is there from now on; nothing: the link has as many as it may.
  std::optional<Opened> open(std::string_view group, Time now);
  // The lane of this slot is there from a process before this one; nothing: no link of the config
  // has it.
  std::optional<Opened> open_again(std::uint32_t slot);
  // One more in place of the lane of this name, on its loop, which takes no new connections any
  // more; nothing: there is no slot for it.
  std::optional<Opened> replace(std::string_view lane, Time now);
  // The lane of this name takes no new connections any more.
  void retire(std::string_view name);
  // It is gone. See ClientLink::Owner.
  void over(std::string_view group, unsigned lane, Time free_at);

  // By link of the config.
  std::map<std::string, LaneRange> ranges() const;
  // Lanes that take connections; on all loops.
  unsigned count(std::string_view group) const;

 private:
  struct Lane {
    std::string name;
    unsigned lane = 0;
    std::size_t loop = 0;
    bool retiring = false;
    bool stays = false;  // also when it is idle or refused, though it is no first one
  };
  struct Group {
    std::optional<ClientLinkOptions> wanted;  // nothing: the config has it no more
    LaneSlots slots;
    std::vector<Lane> lanes;
  };

  std::size_t loop_for(const Group& group) const;

  std::size_t loops_;
  std::map<std::string, Group, std::less<>> groups_;
};

}  // namespace holdfast
