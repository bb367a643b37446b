#include "tests/sim/watch.h"

#include <algorithm>
#include <iterator>

#include "tests/sim/world.h"

namespace holdfast::sim {
namespace {

// Whoever was never harmed has been whole for long.
constexpr Time kBefore = Time(-seconds(100000));
// So long both agents may have nothing to do while something waits: acks go after 25 ms, and each
// may take a turn or two.
constexpr Duration kRest = milliseconds(100);
// Who waits on is looked at again.
constexpr Duration kLookAgain = milliseconds(250);
// A link that streams wait for is up again, once the path carries: dials every 400 ms, a SYN and
// an answer that were lost, a handshake.
constexpr Duration kUpAgain = seconds(6);
// Where a heartbeat has told and the dials begin.
constexpr Duration kBackInTime = seconds(2);
// An application that nothing holds up is accepted, and its service connected to.
constexpr Duration kOpened = seconds(3);

}  // namespace

Watch::Watch(World& world) : world_(world) {}

// --- Harm --------------------------------------------------------------------------------------

void Watch::enter(std::uint32_t client) {
  if (harmed_until_.size() > client) return;
  harmed_until_.resize(client + 1, kBefore);
  hindered_until_.resize(client + 1);
  wanted_since_.resize(client + 1, kNever);
}

void Watch::harm(std::uint32_t client, Time until) {
  enter(client);
  harmed_until_[client] = std::max({harmed_until_[client], until, world_.now()});
}

void Watch::harm_all(Time until) {
  for (std::uint32_t i = 0; i < harmed_until_.size(); ++i) harm(i, until);
}

void Watch::hinder(std::uint32_t client, Time until) {
  hindered_until_[client] = std::max(hindered_until_[client], until);
}

void Watch::hinder_all(Time until) {
  for (std::uint32_t i = 0; i < hindered_until_.size(); ++i) hinder(i, until);
}

Time Watch::harmed_until(std::uint32_t client) const {
  return std::max(harmed_until_[client], world_.path(client).stuck_until());
}

Time Watch::free_from(std::uint32_t client) const {
  return std::max(harmed_until(client), hindered_until_[client]);
}

// A carrier that is dead when the harm ends is asked, found silent, and so may be the one that was
// being made then.
Duration Watch::settling() const {
  const Options& options = world_.options();
  return 2 * (options.dead_after + 2 * options.heartbeat) + options.handshake_timeout +
         world_.transfer_time() + seconds(2);
}

bool Watch::whole_since(std::uint32_t client, Time moment) const {
  return harmed_until(client) + settling() < moment;
}

void Watch::carrier_lost(const Agent& agent, std::uint32_t client, Cause cause) const {
  if (!whole_since(client, world_.now())) return;
  world_.kernel().blame(std::string(agent.side() == 0 ? "the client" : "the server") +
                        " lost a carrier on a path that carries: " + std::string(to_string(cause)));
}

void Watch::turned_away(std::uint32_t client, const std::string& why) const {
  if (whole_since(client, world_.now())) {
    world_.kernel().blame("turned away on a path that carries: " + why);
  }
}

// A carrier that the path's return finds dead is asked about, and another is there in time.
void Watch::grace_ran_out(std::uint32_t client) const {
  const Options& options = world_.options();
  Duration most = 2 * options.heartbeat + 24 * options.path.delay + 8 * options.path.jitter +
                  world_.transfer_time() + kBackInTime;
  if (free_from(client) + most < world_.now()) {
    world_.kernel().blame("a grace ran out though the path carries");
  }
}

// --- Links and carriers ------------------------------------------------------------------------

void Watch::look_around() {
  for (std::uint32_t i = 0; i < world_.options().clients; ++i) {
    if (!world_.client(i).running() || !world_.server().running()) continue;
    look_at_link(i);
    look_at_silence(i);
  }
  for (auto& conversation : world_.conversations()) look_at_opening(*conversation);
}

bool Watch::running(std::uint32_t client, Time since) const {
  ClientHost& host = world_.client(client);
  return host.running() && world_.server().running() && host.agent()->stalled_until() <= since &&
         world_.server().agent()->stalled_until() <= since;
}

void Watch::look_at_link(std::uint32_t client) {
  const Link& link = world_.client(client).link();
  Time& since = wanted_since_[client];
  if (link.live() || !link.urgent() || !running(client, world_.now())) {
    since = kNever;
    return;
  }
  if (since == kNever) since = world_.now();
  Duration most = kUpAgain + world_.options().handshake_timeout + 20 * world_.options().path.delay +
                  world_.transfer_time();
  require(world_.now() <= std::max(since, free_from(client)) + most,
          "a client's link stays down though the path carries");
}

// Each end has heard something of the other, or holds its carrier for dead.
void Watch::look_at_silence(std::uint32_t client) const {
  const Options& options = world_.options();
  ClientHost& host = world_.client(client);
  if (!running(client, world_.now())) return;
  for (int side = 0; side < 2; ++side) {
    if (!world_.is_up(side, host.link().id())) continue;
    Time heard{};
    Time awake =
        side == 0 ? host.agent()->stalled_until() : world_.server().agent()->stalled_until();
    for (Connection* each : world_.carriers_of(client)) {
      if (!each->open(side)) continue;
      heard = std::max({heard, each->stands_since(), each->flow_to(side).last_arrival(),
                        each->flow_from(side).last_ack()});
    }
    if (heard == Time{}) continue;
    Time since = std::max({heard, awake});
    Duration most = 2 * options.dead_after + 2 * options.heartbeat + seconds(2);
    require(world_.now() <= since + most, std::string(side == 0 ? "the client" : "the server") +
                                              " believes in a carrier that says nothing");
  }
}

// --- What waits --------------------------------------------------------------------------------

void Watch::waits(Conversation& conversation, int side) {
  Side& one = conversation.sides[side];
  if (one.watched) return;
  one.watched = true;
  one.watched_since = world_.now();
  one.watched_from = conversation.sides[1 - side].accepted;
  world_.look_at(world_.now() + kRest, conversation, side);
}

// Between two ends that live: bytes, or an end, and an application that would take them at once.
bool Watch::may_go(const Conversation& conversation, int side) const {
  const Side& from = conversation.sides[side];
  const Side& to = conversation.sides[1 - side];
  if (to.consumed != to.accepted || to.consumed_at > from.watched_since) return false;
  if (to.stands_since > from.watched_since) return false;
  return from.written > to.accepted || (from.said_eof && !to.got_fin);
}

// Nothing of the client's carrier moves, has moved since then, or is under way.
bool Watch::rests(std::uint32_t client, Time since) const {
  ClientHost& host = world_.client(client);
  if (!running(client, since) || !host.link().live() || !world_.is_up(1, host.link().id())) {
    return false;
  }
  bool any = false;
  for (Connection* each : world_.carriers_of(client)) {
    if (each->was_cut() || !each->open(0) || !each->open(1)) return false;
    for (int side = 0; side < 2; ++side) {
      const Flow& flow = each->flow_from(side);
      bool still = flow.written() == flow.sent() && flow.sent() == flow.arrived() &&
                   flow.arrived() == flow.acked();
      if (!still || flow.last_arrival() > since || flow.last_ack() > since) return false;
    }
    any = true;
  }
  return any;
}

void Watch::look(Conversation& conversation, int side) {
  Side& from = conversation.sides[side];
  const Side& to = conversation.sides[1 - side];
  from.watched = false;
  if (from.broken() || to.broken() || from.end == nullptr) return;
  if (from.written == to.accepted && (!from.said_eof || to.got_fin)) return;
  bool stands = to.end != nullptr;
  if (stands && to.accepted == from.watched_from && may_go(conversation, side) &&
      rests(conversation.client, from.watched_since)) {
    throw Failure(conversation.name() + (side == 0 ? " at the client: " : " at the backend: ") +
                  "something waits while its carrier rests");
  }
  from.watched = true;
  from.watched_since = world_.now();
  from.watched_from = to.accepted;
  world_.look_at(world_.now() + (stands && to.consumed == to.accepted ? kRest : kLookAgain),
                 conversation, side);
}

void Watch::look_at_opening(const Conversation& conversation) const {
  const Side& application = conversation.sides[0];
  if (!conversation.started || application.end == nullptr || conversation.excuses.any()) return;
  if (conversation.backend_connects != 0 || world_.limits_may_refuse()) return;
  Time whole = std::max(conversation.started_at, free_from(conversation.client));
  if (!running(conversation.client, whole)) return;
  if (!conversation.opened) {
    return require(world_.now() <= whole + kOpened,
                   conversation.name() + ": nobody accepts the application");
  }
  // The link is up all the time, or its own time counts.
  const Link& link = world_.client(conversation.client).link();
  if (!link.live()) return;
  Duration most = kUpAgain + kOpened + settling() + 20 * world_.options().path.delay;
  require(world_.now() <= whole + most, conversation.name() + ": nobody asks the service");
}

}  // namespace holdfast::sim
