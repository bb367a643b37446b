#include "tests/sim/watch.h"

#include <algorithm>
#include <iterator>

#include "tests/sim/world.h"

namespace holdfast::sim {
namespace {

// So long both agents may have nothing to do while something waits: acks go after 25 ms, on a path
// that is or seemed long after 200 ms, and each may take a turn or two.
constexpr Duration kRest = milliseconds(300);
// Who waits on is looked at again.
constexpr Duration kLookAgain = milliseconds(250);
// A link that streams wait for is up again, once the path carries: dials every 400 ms, a SYN and
// an answer that were lost, a handshake.
constexpr Duration kUpAgain = seconds(6);
// Where a heartbeat has told and the dials begin.
constexpr Duration kBackInTime = seconds(2);
// An application that nothing holds up is accepted, and its service connected to.
constexpr Duration kOpened = seconds(3);
// A lane finds out that smaller segments pass: a carrier that is found silent, and two that deliver
// nothing; and knows it for so long (net/segment_limit.cc).
constexpr Duration kLearns = seconds(10);
constexpr Duration kKnown = seconds(590);
// Longer than a kernel waits before it sends a packet again, for a carrier that is not silent yet.
constexpr Duration kNothingLearnt = seconds(3);

Time hole_until(Connection& carrier) {
  return std::max(carrier.flow_from(0).hole_until(), carrier.flow_from(1).hole_until());
}

}  // namespace

Watch::Watch(World& world) : world_(world) {}

// --- Harm --------------------------------------------------------------------------------------

void Watch::enter(std::uint32_t client) {
  if (harmed_until_.size() > client) return;
  harmed_until_.resize(client + 1, kLongAgo);
  hindered_until_.resize(client + 1);
  held_up_until_.resize(client + 1, kLongAgo);
}

void Watch::harm(std::uint32_t client, Time until) {
  enter(client);
  harmed_until_[client] = std::max({harmed_until_[client], until, world_.now()});
}

void Watch::harm_all(Time until) {
  for (std::uint32_t i = 0; i < harmed_until_.size(); ++i) harm(i, until);
}

// A lane that is finding out what passes goes on when carriers can be had again.
void Watch::hinder(std::uint32_t client, Time until) {
  for (auto& [whose, learning] : learns_since_) {
    bool learns = learning.last + kNothingLearnt > world_.now();
    if (whose.first == client && learns) learning.since = std::max(learning.since, until);
  }
  hindered_until_[client] = std::max(hindered_until_[client], until);
}

void Watch::hinder_all(Time until) {
  for (std::uint32_t i = 0; i < hindered_until_.size(); ++i) hinder(i, until);
}

void Watch::carrier_gone(std::uint32_t client, Connection& carrier) {
  enter(client);
  Time until = std::min(hole_until(carrier), world_.now());
  held_up_until_[client] = std::max(held_up_until_[client], until);
}

Time Watch::held_up_until(std::uint32_t client) const {
  Time until = held_up_until_[client];
  for (Connection* each : world_.carriers_of(client)) until = std::max(until, hole_until(*each));
  return until;
}

// Whoever was asked then is suspect, and a standby that is on its way takes over.
Duration Watch::verdict() const {
  const Path::Shape& path = world_.options().path;
  return seconds(2) + 12 * path.delay + 4 * path.jitter;
}

// While no large packet is lost nobody learns of them.
void Watch::swallowed(std::uint32_t client, const LinkId& lane) {
  enter(client);
  Time now = world_.now();
  auto [found, first] = learns_since_.try_emplace({client, lane}, Learning{now, now});
  Learning& learning = found->second;
  bool forgotten = std::max(harmed_until_[client], hindered_until_[client]) >= learning.since;
  if (now > learning.last + kNothingLearnt) learning.since += now - learning.last;
  if (forgotten || now > learning.since + kKnown) learning.since = now;
  learning.last = now;
}

Time Watch::learns_until(std::uint32_t client) const {
  const Path::Shape& path = world_.options().path;
  Time until = kLongAgo;
  for (const auto& [whose, learning] : learns_since_) {
    if (whose.first != client) continue;
    until = std::max(until, learning.since + kLearns + 40 * path.delay + 16 * path.jitter);
  }
  return until;
}

Time Watch::free_from(std::uint32_t client) const {
  return std::max({harmed_until_[client], hindered_until_[client], held_up_until(client),
                   learns_until(client)});
}

// A carrier that is dead when the harm ends is asked, found silent, and so may be the one that was
// being made then.
Duration Watch::settling() const {
  const Options& options = world_.options();
  return 2 * (options.dead_after + 2 * options.heartbeat) + options.handshake_timeout +
         world_.transfer_time() + seconds(2);
}

bool Watch::whole_since(std::uint32_t client, Time moment) const {
  return harmed_until_[client] + settling() < moment &&
         held_up_until(client) + verdict() < moment && learns_until(client) < moment;
}

// What was written takes the line so long that a question's answer, which is behind it, may come
// later than a path of this length lets anybody expect. An agent learns of it, so it happens now
// and then only.
bool Watch::answers_late(std::uint32_t client) {
  std::uint64_t rate = world_.path(client).shape().rate;
  std::uint64_t most = 0;
  for (int side = 0; side < 2; ++side) {
    std::uint64_t waits = 0;
    for (Connection* each : world_.carriers_of(client)) {
      const Flow& flow = each->flow_from(side);
      waits += flow.written() - flow.acked();
    }
    most = std::max(most, waits);
  }
  bool late = rate != 0 && Duration(static_cast<std::int64_t>(most * 1000000 / rate)) >= kNoticed;
  late = late || world_.path(client).queued_until() + verdict() > world_.now();
  if (late) harm(client, world_.now());
  return late;
}

void Watch::carrier_lost(const Agent& agent, std::uint32_t client, Cause cause) {
  if (!whole_since(client, world_.now()) || answers_late(client)) return;
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
    look_at_links(i);
    for (const Link* lane : world_.client(i).links()) {
      require(lane->outage_since() > Time{}, "an outage began before the world");
      look_at_silence(i, lane->id());
    }
  }
  for (auto& conversation : world_.conversations()) look_at_opening(*conversation);
}

bool Watch::running(std::uint32_t client, Time since) const {
  ClientHost& host = world_.client(client);
  return host.running() && world_.server().running() && host.agent()->stalled_until() <= since &&
         world_.server().agent()->stalled_until() <= since;
}

void Watch::look_at_links(std::uint32_t client) {
  std::map<std::pair<std::uint32_t, LinkId>, Time> wanted;
  Duration most = kUpAgain + world_.options().handshake_timeout + 20 * world_.options().path.delay +
                  world_.transfer_time();
  for (const Link* lane : world_.client(client).links()) {
    if (lane->live() || !lane->urgent() || !running(client, world_.now())) continue;
    auto known = wanted_since_.find({client, lane->id()});
    Time since = known == wanted_since_.end() ? world_.now() : known->second;
    require(world_.now() <= std::max(since, free_from(client)) + most,
            "a client's link stays down though the path carries");
    wanted[{client, lane->id()}] = since;
  }
  std::erase_if(wanted_since_, [&](const auto& each) { return each.first.first == client; });
  wanted_since_.merge(wanted);
}

// Each end has heard something of the other, or holds its carrier for dead.
void Watch::look_at_silence(std::uint32_t client, const LinkId& lane) const {
  const Options& options = world_.options();
  ClientHost& host = world_.client(client);
  if (!running(client, world_.now())) return;
  for (int side = 0; side < 2; ++side) {
    if (!world_.is_up(side, lane) || (side == 1 && world_.haunted(client, lane))) continue;
    Time heard{};
    Time awake =
        side == 0 ? host.agent()->stalled_until() : world_.server().agent()->stalled_until();
    for (Connection* each : world_.carriers_of(client, lane)) {
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

// Nothing of its lane's carrier moves, has moved since then, or is under way.
bool Watch::rests(const Conversation& conversation, Time since) const {
  std::uint32_t client = conversation.client;
  if (!running(client, since)) return false;
  ClientHost& host = world_.client(client);
  const Link* lane = host.links().size() == 1 ? &host.link() : host.link_of(conversation);
  if (lane == nullptr || !lane->live() || !world_.is_up(1, lane->id())) return false;
  bool any = false;
  for (Connection* each : world_.carriers_of(client, lane->id())) {
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
      rests(conversation, from.watched_since)) {
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
  ClientHost& host = world_.client(conversation.client);
  const Link* lane = host.link_of(conversation);
  if (lane == nullptr) lane = &host.link();
  if (!lane->live()) return;
  Duration most = kUpAgain + kOpened + settling() + 20 * world_.options().path.delay;
  require(world_.now() <= whole + most, conversation.name() + ": nobody asks the service");
}

}  // namespace holdfast::sim
