#include "common/net/listener_set.h"

#include <algorithm>

namespace holdfast {

ListenerSet::Place* ListenerSet::find(const Wanted& wanted) {
  auto found = std::find_if(places_.begin(), places_.end(), [&](const Place& place) {
    return place.address == wanted.address && place.transparent == wanted.transparent;
  });
  return found == places_.end() ? nullptr : &*found;
}

Result<ListenerSet::Place> ListenerSet::bind(const Wanted& wanted) {
  auto sockets = bind_sockets(wanted.address, tune_, wanted.transparent);
  if (!sockets) return sockets.error();
  Place place{wanted.address, wanted.transparent, {}};
  for (BoundSocket& socket : *sockets) {
    place.listeners.push_back(std::make_unique<Listener>(loop_, std::move(socket), wanted.tag,
                                                         budget_, handler_, observer_));
  }
  return place;
}

// Binds those that are wanted and do not stand. One that overlaps a leaving address can only be had
// once that is closed: then all leaving ones go first, and come back if it still cannot be had.
Status ListenerSet::bind_over(const std::vector<Wanted>& wanted, std::vector<Place>& bound,
                              std::vector<Place>& leaving) {
  std::vector<Wanted> gone;
  for (const Wanted& one : wanted) {
    if (find(one) != nullptr) continue;
    Result<Place> place = bind(one);
    if (!place && !leaving.empty()) {
      for (const Place& each : leaving) {
        gone.push_back({each.address, each.listeners[0]->tag(), each.transparent});
      }
      for (Place& each : leaving) {
        for (auto& listener : each.listeners) listener->accept_rest();
      }
      leaving.clear();
      place = bind(one);
    }
    if (place) {
      bound.push_back(std::move(*place));
      continue;
    }
    bound.clear();
    for (const Wanted& each : gone) {
      auto again = bind(each);
      if (again) leaving.push_back(std::move(*again));
      if (!again) observer_.warning("lost while reloading: " + again.error().message);
    }
    return place.error();
  }
  return Ok{};
}

Status ListenerSet::set(const std::vector<Wanted>& wanted) {
  auto stays = [&](const Place& place) {
    return std::any_of(wanted.begin(), wanted.end(), [&](const Wanted& one) {
      return one.address == place.address && one.transparent == place.transparent;
    });
  };
  auto first_leaving = std::stable_partition(places_.begin(), places_.end(), stays);
  std::vector<Place> leaving(std::make_move_iterator(first_leaving),
                             std::make_move_iterator(places_.end()));
  places_.erase(first_leaving, places_.end());
  std::vector<Place> bound;
  Status status = bind_over(wanted, bound, leaving);
  std::vector<Place>& kept = status ? bound : leaving;
  places_.insert(places_.end(), std::make_move_iterator(kept.begin()),
                 std::make_move_iterator(kept.end()));
  if (!status) return status;
  for (const Wanted& one : wanted) {
    for (auto& listener : find(one)->listeners) listener->set_tag(one.tag);
  }
  for (Place& place : leaving) {
    for (auto& listener : place.listeners) listener->accept_rest();
  }
  return Ok{};
}

void ListenerSet::resume() {
  for (Place& place : places_) {
    for (auto& listener : place.listeners) listener->resume();
  }
}

std::vector<SocketAddress> ListenerSet::addresses() const {
  std::vector<SocketAddress> addresses;
  for (const Place& place : places_) {
    for (const auto& listener : place.listeners) addresses.push_back(listener->address());
  }
  return addresses;
}

std::vector<std::string> ListenerSet::names() const {
  std::vector<std::string> names;
  for (const Place& place : places_) {
    for (const auto& listener : place.listeners) names.push_back(listener->name());
  }
  return names;
}

}  // namespace holdfast
