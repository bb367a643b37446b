#include "client-agent/client_lanes.h"

#include <algorithm>
#include <utility>

namespace holdfast {

LinkSpread ClientLanes::spread(
    std::vector<ClientLinkOptions> links,
    const std::function<std::optional<std::size_t>(const std::string&)>& where) {
  for (auto& [name, group] : groups_) group.wanted.reset();
  std::vector<ClientLinkOptions> lanes;
  for (ClientLinkOptions& link : links) {
    Group& group = groups_[link.group];
    for (unsigned lane = 0; lane < kLanesOfALink && lane < link.lanes.most; ++lane) {
      ClientLinkOptions one = link.beside(lane);
      bool stays = std::any_of(group.lanes.begin(), group.lanes.end(), [&](const Lane& each) {
        return each.lane == lane && !each.retiring && where(each.name).has_value();
      });
      if (lane < link.lanes.first || stays) lanes.push_back(std::move(one));
    }
    group.wanted = std::move(link);
  }
  for (auto& [name, group] : groups_) {
    for (Lane& lane : group.lanes) lane.retiring = true;
  }
  LinkSpread spread = spread_links(std::move(lanes), loops_, where);
  for (std::size_t loop = 0; loop < spread.size(); ++loop) {
    for (const ClientLinkOptions& options : spread[loop]) {
      // Known already where it stays; a leaving one of the same name is another link.
      Group& group = groups_[options.group];
      bool here = where(options.name).has_value();
      auto known = std::find_if(group.lanes.begin(), group.lanes.end(), [&](const Lane& each) {
        return here && each.lane == options.lane && each.loop == loop;
      });
      if (known != group.lanes.end()) {
        known->retiring = false;
      } else {
        group.slots.take_again(options.lane);
        group.lanes.push_back({.name = options.name, .lane = options.lane, .loop = loop});
      }
    }
  }
  return spread;
}

std::optional<ClientLanes::Opened> ClientLanes::open(std::string_view name, Time now) {
  auto found = groups_.find(name);
  if (found == groups_.end() || !found->second.wanted) return std::nullopt;
  Group& group = found->second;
  if (count(name) >= group.wanted->lanes.most) return std::nullopt;
  std::optional<unsigned> lane = group.slots.take(now);
  if (!lane) return std::nullopt;
  Opened opened{loop_for(group), group.wanted->beside(*lane)};
  group.lanes.push_back({.name = opened.options.name, .lane = *lane, .loop = opened.loop});
  return opened;
}

std::optional<ClientLanes::Opened> ClientLanes::open_again(std::uint32_t slot) {
  unsigned lane = slot % kLanesOfALink;
  for (auto& [name, group] : groups_) {
    if (!group.wanted || group.wanted->link.slot + lane != slot) continue;
    group.slots.take_again(lane);
    Opened opened{loop_for(group), group.wanted->beside(lane)};
    bool goes = lane >= group.wanted->lanes.most;
    group.lanes.push_back({opened.options.name, lane, opened.loop, goes, false});
    return opened;
  }
  return std::nullopt;
}

std::optional<ClientLanes::Opened> ClientLanes::replace(std::string_view name, Time now) {
  for (auto& [group_name, group] : groups_) {
    for (Lane& old : group.lanes) {
      if (old.name != name || old.retiring || !group.wanted) continue;
      std::optional<unsigned> lane = group.slots.take(now);
      if (!lane) return std::nullopt;
      old.retiring = true;
      Opened opened{old.loop, group.wanted->beside(*lane)};
      // In place of a first one it stays like one.
      bool stays = old.stays || old.lane < group.wanted->lanes.first;
      if (stays) {
        LaneRange& range = opened.options.lanes;
        range.first = std::max(range.first, *lane + 1);
        range.most = std::max(range.most, range.first);
      }
      group.lanes.push_back(
          {.name = opened.options.name, .lane = *lane, .loop = opened.loop, .stays = stays});
      return opened;
    }
  }
  return std::nullopt;
}

// As spread_links() does.
std::size_t ClientLanes::loop_for(const Group& group) const {
  std::vector<std::pair<std::size_t, std::size_t>> load(loops_);  // of the group, of all
  for (const auto& [name, each] : groups_) {
    for (const Lane& lane : each.lanes) {
      load[lane.loop].first += &each == &group ? 1 : 0;
      load[lane.loop].second += 1;
    }
  }
  auto best = std::min_element(load.rbegin(), load.rend());
  return static_cast<std::size_t>(load.rend() - best) - 1;
}

void ClientLanes::retire(std::string_view name) {
  for (auto& [group_name, group] : groups_) {
    for (Lane& lane : group.lanes) lane.retiring = lane.retiring || lane.name == name;
  }
}

void ClientLanes::over(std::string_view name, unsigned lane, Time free_at) {
  auto found = groups_.find(name);
  if (found == groups_.end()) return;
  Group& group = found->second;
  // One that retires, if there are two: its successor is not over.
  auto is_this = [&](const Lane& each) { return each.lane == lane; };
  auto gone = std::find_if(group.lanes.begin(), group.lanes.end(),
                           [&](const Lane& each) { return is_this(each) && each.retiring; });
  if (gone == group.lanes.end()) {
    gone = std::find_if(group.lanes.begin(), group.lanes.end(), is_this);
  }
  if (gone == group.lanes.end()) return;
  group.slots.give_back(lane, free_at);
  group.lanes.erase(gone);
  if (group.lanes.empty() && !group.wanted) groups_.erase(found);
}

std::map<std::string, LaneRange> ClientLanes::ranges() const {
  std::map<std::string, LaneRange> ranges;
  for (const auto& [name, group] : groups_) {
    if (group.wanted) ranges.emplace(name, group.wanted->lanes);
  }
  return ranges;
}

unsigned ClientLanes::count(std::string_view name) const {
  auto found = groups_.find(name);
  if (found == groups_.end()) return 0;
  const std::vector<Lane>& lanes = found->second.lanes;
  return static_cast<unsigned>(
      std::count_if(lanes.begin(), lanes.end(), [](const Lane& lane) { return !lane.retiring; }));
}

}  // namespace holdfast
