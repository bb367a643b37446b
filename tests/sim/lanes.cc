// The lanes of the clients' links, and whose the carriers are.
#include <algorithm>

#include "tests/sim/world.h"

namespace holdfast::sim {

LinkId World::lane_of(const Connection& connection, std::uint32_t client) {
  const Address& from = connection.from();
  std::string address = from.host_text() + ":" + std::to_string(from.port);
  std::vector<const Link*> lanes = clients_[client]->links();
  LinkId found{};
  server_->for_each_link([&](const LinkDriver& driver, const MemoryPool&) {
    const LinkId& id = driver.link().id();
    bool its =
        std::any_of(lanes.begin(), lanes.end(), [&](const Link* lane) { return lane->id() == id; });
    if (its && driver.carrier_address() == address) found = id;
  });
  return found;
}

std::vector<Connection*> World::carriers_of(std::uint32_t client, const LinkId& lane) {
  std::vector<Connection*> found = carriers_of(client);
  if (options_.lanes == 1) return found;
  std::erase_if(found, [&](const Connection* each) {
    LinkId whose = lane_of(*each, client);
    return whose != lane && whose != LinkId{};
  });
  return found;
}

bool World::haunted(std::uint32_t client, const LinkId& lane) {
  std::vector<Connection*> its = carriers_of(client);
  return std::none_of(its.begin(), its.end(),
                      [&](const Connection* each) { return lane_of(*each, client) == lane; });
}

// What a link has at once it has again; others come and go.
bool World::lanes_stand(std::uint32_t client) {
  std::vector<const Link*> lanes = clients_[client]->links();
  auto live =
      std::count_if(lanes.begin(), lanes.end(), [](const Link* lane) { return lane->live(); });
  return clients_[client]->link().live() && static_cast<unsigned>(live) >= options_.first_lanes;
}

// Those that come and go are there until they have been empty for a while, or with their grace.
bool World::links_are_the_clients() {
  std::size_t links = server_->links();
  std::size_t least = std::size_t{options_.clients} * options_.first_lanes;
  return links == least || (options_.lanes > options_.first_lanes && links > least);
}

bool World::left_by_itself(std::uint32_t client, const LinkEvent& event) {
  bool may = options_.lanes > options_.first_lanes && event.lane && event.connections == 0;
  // The carrier's end may overtake the GOODBYE.
  bool told = event.cause == Cause::goodbye || event.cause == Cause::carrier_eof ||
              event.cause == Cause::carrier_reset;
  if (!may || !told || !clients_[client]->running()) return false;
  std::vector<const Link*> lanes = clients_[client]->links();
  return std::none_of(lanes.begin(), lanes.end(), [&](const Link* lane) {
    return lane->id() == event.link && !lane->leaving() && !lane->ended();
  });
}

// What stands in the way of streams to come is over once every lane that met it has ended. The
// first one is for good: it is the last of them where there are no others.
void World::lane_ended(std::uint32_t client, const LinkEvent& event) {
  std::set<LinkId>& old = old_lanes_[client];
  bool waited = old.erase(event.link) != 0;
  if (!event.lane) {
    for (const Link* lane : clients_[client]->links()) {
      if (lane->id() != event.link && !lane->ended()) old.insert(lane->id());
    }
  }
  if (old.empty() && (waited || !event.lane)) new_link(client);
}

void World::swallowed(Connection& connection) {
  auto found = carriers_.find(connection.number());
  if (found == carriers_.end()) return;  // a ghost's
  watch_.swallowed(found->second, lane_of(connection, found->second));
}

}  // namespace holdfast::sim
