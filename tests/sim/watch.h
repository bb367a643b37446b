// Watch: what must go on in a world, by its clock. The oracle (oracle.cc) judges what the agents
// say; this judges what they leave undone:
//   - a path that carries bytes does not lose its carrier;
//   - once the path carries, a link that somebody waits for is up, no grace runs out, and nobody is
//     turned away;
//   - a carrier that says nothing is not believed in for long;
//   - a carrier does not rest while something waits that may go;
//   - an application that nothing holds up is accepted, and its connection asked for.
// Nothing is excused by a cause. What the world does to a client's path, or to a process, is harm
// that lasts for a time (harm()); the promises hold from then on, each after a bound of its own.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/wire/cause.h"

namespace holdfast::sim {

class Agent;
class Connection;
class World;
struct Conversation;

class Watch {
 public:
  explicit Watch(World& world);

  // A client's first process begins with nothing in its way.
  void enter(std::uint32_t client);
  // Until then the client's carriers may be lost, silent, or impossible to have; what they are at
  // that moment is found out in settling().
  void harm(std::uint32_t client, Time until);
  void harm_all(Time until);
  // Something large vanishes on a path that never passes it: until the lane has found out that
  // smaller segments pass. It knows then, unless something else harms it.
  void swallowed(std::uint32_t client, const LinkId& lane);
  // A connection of the client's is over at both ends: what held it up holds nothing up any more.
  void carrier_gone(std::uint32_t client, Connection& carrier);
  // New carriers and connections cannot be had until then; what stands goes on.
  void hinder(std::uint32_t client, Time until);
  void hinder_all(Time until);

  // --- What an agent says: its code is on the stack ---
  // A link went down.
  void carrier_lost(const Agent& agent, std::uint32_t client, Cause cause);
  // Some end of the client's was turned away.
  void turned_away(std::uint32_t client, const std::string& why) const;
  // A connection of the client's ended with its grace.
  void grace_ran_out(std::uint32_t client) const;

  // Something may have come to wait at this side: it is looked at after a while.
  void waits(Conversation& conversation, int side);

  // --- The world's events ---
  void look(Conversation& conversation, int side);  // what waits() asked for
  void look_around();                               // everything else, once a second

 private:
  // When nothing that was done to it lasts any more.
  Time free_from(std::uint32_t client) const;
  // Until then carriers are held up by segments that are lost whenever they are sent again.
  Time held_up_until(std::uint32_t client) const;
  // How long a question that such a one held up may yet cost the carrier.
  Duration verdict() const;
  // Until then lanes may yet find out what the path passes.
  Time learns_until(std::uint32_t client) const;
  // No harm since `moment`, counting what it takes to find out.
  bool whole_since(std::uint32_t client, Time moment) const;
  Duration settling() const;
  bool answers_late(std::uint32_t client);
  bool running(std::uint32_t client, Time since) const;
  bool rests(const Conversation& conversation, Time since) const;
  bool may_go(const Conversation& conversation, int side) const;
  void look_at_links(std::uint32_t client);
  void look_at_silence(std::uint32_t client, const LinkId& lane) const;
  void look_at_opening(const Conversation& conversation) const;

  World& world_;
  std::vector<Time> harmed_until_;  // by client, clones as well
  std::vector<Time> hindered_until_;
  std::vector<Time> held_up_until_;  // of carriers that are gone
  // A link is down, streams wait; by client and lane.
  std::map<std::pair<std::uint32_t, LinkId>, Time> wanted_since_;
  struct Learning {
    Time since{};
    Time last{};  // one vanished
  };
  std::map<std::pair<std::uint32_t, LinkId>, Learning> learns_since_;
};

}  // namespace holdfast::sim
