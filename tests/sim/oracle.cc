// What the oracle holds each step of a world to.
#include <algorithm>

#include "tests/sim/world.h"

namespace holdfast::sim {
namespace {

std::uint64_t& counter(std::uint64_t (&counts)[Totals::kCauses], Cause cause) {
  return counts[std::min<int>(static_cast<int>(cause), Totals::kCauses - 1)];
}

// What a link does it tells at the end of the turn, or in the next one.
constexpr Duration kTellingSlack = milliseconds(1);

}  // namespace

// --- Links -------------------------------------------------------------------------------------

Duration World::LinkRecord::longest_until(Time now) const {
  return down_since == kNever ? longest : std::max(longest, now - down_since);
}

void World::link_up(const Agent& agent, const LinkEvent& event, bool resumed) {
  LinkRecord& known = record(agent.side(), event.link);
  if (known.up) kernel_.blame("LinkUp of a link that is up");
  known.up = true;
  known.longest = known.longest_until(now());
  known.down_since = kNever;
  if (agent.side() == 0) {
    if (resumed) totals_.resumes += 1;
    return;
  }
  server_links_ += 1;
  // A HELLO of an older process that comes late may displace the newer one's link: it cannot be
  // told from a newer process's. Whoever it hits is excused.
  for (std::uint32_t i = 0; i < clients_.size(); ++i) {
    ClientHost& host = *clients_[i];
    if (host.name() != event.peer || !host.running() || host.has(event.link)) continue;
    excuse(i, &Excuses::displaced);
  }
}

void World::link_down(const Agent& agent, const LinkEvent& event) {
  LinkRecord& known = record(agent.side(), event.link);
  if (!known.up) kernel_.blame("LinkDown of a link that is down");
  known.up = false;
  known.down_since = now();
  // Of a clone it is its original's harm that counts.
  for (std::uint32_t i = 0; i < options_.clients && !finished_; ++i) {
    bool its = agent.side() == 0 ? agent.client() == i : clients_[i]->name() == event.peer;
    if (its && !left_by_itself(i, event)) watch_.carrier_lost(agent, i, event.cause);
  }
  counter(totals_.carrier_ends, event.cause) += 1;
}

void World::link_ended(const Agent& agent, const LinkEvent& event) {
  std::string who = agent.side() == 0 ? "the client's link" : "the server's link";
  // Nobody here breaks the protocol: a violation is a bug of the sender or of the judge.
  if (event.cause == Cause::protocol) {
    kernel_.blame(who + " ended for a violation: " + event.detail);
  }
  if (event.cause == Cause::grace_expired) {
    Duration grace =
        std::min({options_.grace, options_.service_grace[0], options_.service_grace[1]});
    if (agent.side() == 1) over_grace_.insert(event.link);
    // A client may be told that it was the server's.
    bool told = agent.side() == 0 && over_grace_.count(event.link) != 0;
    Duration outage = record(agent.side(), event.link).longest_until(now());
    if (!told && outage + kTellingSlack < grace) {
      kernel_.blame(who + "'s grace expired too early");
    }
  }
  if (agent.side() == 0) {
    over_.insert(event.link);
    lane_ended(agent.client(), event);
    return;
  }
  // What the client opens before it hears of that is lost with the link.
  for (std::uint32_t i = 0; i < clients_.size(); ++i) {
    ClientHost& host = *clients_[i];
    bool current = host.running() && host.has(event.link);
    if (current && event.cause == Cause::grace_expired) excuse(i, &Excuses::outage_over_grace);
  }
}

bool World::is_up(int side, const LinkId& link) {
  auto found = links_.find({link, side});
  return found != links_.end() && found->second.up;
}

void World::new_link(std::uint32_t client) {
  Excuses old = std::exchange(standing_[client], {});
  standing_[client].displaced = old.displaced;
  old_lanes_.erase(client);
}

void World::server_starts() {
  server_started_ = now();
  watch_.harm_all(now());
}

void World::process_ends(const Agent& agent) {
  if (agent.side() == 0) {
    watch_.harm(agent.client(), now());
  } else {
    watch_.harm_all(now());
  }
  // A link of the same id at the next process is another one.
  if (agent.side() == 1) {
    std::erase_if(links_, [](const auto& each) { return each.first.second == 1; });
  }
  for (auto& conversation : conversations_) {
    if (agent.side() == 0 && conversation->client != agent.client()) continue;
    Side& side = conversation->sides[agent.side()];
    bool lives = side.end != nullptr || (side.ended == 0 && conversation->opened);
    if (agent.side() == 1 && conversation->backend_connects == 0) lives = false;
    if (lives) side.process_gone = true;
  }
}

// --- Carriers ------------------------------------------------------------------------------------

void World::refused(const Agent& agent, Cause cause) {
  totals_.refusals += 1;
  if (agent.client() < options_.clients) {
    watch_.turned_away(agent.client(), std::string(to_string(cause)));
  }
  bool explained = cause == Cause::duplicate_name || cause == Cause::stale ||
                   cause == Cause::draining || cause == Cause::shutdown ||
                   cause == Cause::goodbye || (cause == Cause::other_server && server_->renamed());
  if (!explained) {
    kernel_.blame("a client was refused with cause " + std::string(to_string(cause)));
  }
}

void World::rejected(Cause cause, const std::string& reason) {
  totals_.rejected += 1;
  if (cause == Cause::server_restarted) totals_.unknown += 1;
  if (cause == Cause::stale) totals_.stale += 1;
  if (cause == Cause::protocol || (cause == Cause::auth && !options_.tls)) {
    kernel_.blame("a client's HELLO was refused: " + reason);
  }
  if (cause == Cause::draining && !server_->draining()) {
    kernel_.blame("refused by a server that does not drain");
  }
}

// --- Streams -------------------------------------------------------------------------------------

void World::stream_open(const Agent&, const ConnectionInfo& connection) {
  if (conversation_of(connection.summary.source) == nullptr) {
    kernel_.blame("a connection whose source nobody has");
  }
}

void World::stream_ended(const Agent& agent, const ConnectionInfo& connection) {
  Conversation* conversation = conversation_of(connection.summary.source);
  if (conversation == nullptr) return kernel_.blame("an end of what nobody has");
  Side& side = conversation->sides[agent.side()];
  side.ended += 1;
  side.ended_cause = connection.summary.cause;
  side.ended_at = now();
  if (side.ended != 1) kernel_.blame(conversation->name() + ": two ends were told");
  if (side.end != nullptr) {
    kernel_.blame(conversation->name() + ": its end was told while its socket is open");
  }
  if (connection.summary.sent_bytes != side.taken) {
    kernel_.blame(conversation->name() + ": wrong sent_bytes");
  }
  side.orphan = agent.side() == 1 && over_.count(connection.link) != 0;
  Duration& longest = longest_[conversation->index];
  for (int each = 0; each < 2; ++each) {
    longest = std::max(longest, record(each, connection.link).longest_until(now()));
  }
  counter(totals_.resets, side.ended_cause) += 1;
  ended_.push_back({conversation, agent.side(), side.ended_cause, now()});
}

void World::socket_closed(Conversation&, int) {}

bool World::outage_over_grace(const Conversation& conversation) const {
  Duration grace = std::min(options_.grace, options_.service_grace[conversation.script.service]);
  auto known = longest_.find(conversation.index);
  return known != longest_.end() && known->second + kTellingSlack >= grace;
}

// What explains an end may be told a little later than the end.
void World::judge() {
  std::erase_if(ended_, [this](const Ended& each) {
    if (explained(*each.conversation, each.side, each.cause)) return true;
    require(now() <= each.at + kTellingSlack,
            each.conversation->name() + (each.side == 0 ? " at the client" : " at the server") +
                " ended with cause " + std::string(to_string(each.cause)) +
                ", which nothing explains");
    return false;
  });
}

// Every end but the applications' own needs something that happened to explain it.
bool World::explained(Conversation& conversation, int side, Cause cause) {
  Excuses& excuses = conversation.excuses;
  if (!excuses.outage_over_grace) excuses.outage_over_grace = outage_over_grace(conversation);
  switch (cause) {
    case Cause::client_fin:
    case Cause::target_fin:
      return true;
    case Cause::client_rst:
    case Cause::target_rst: {
      // The other application's: this one has read everything before it.
      const Side& one = conversation.sides[side];
      if (!one.said_reset && one.got_reset) conversation.check_reset(side);
      return excuses.application_reset;
    }
    case Cause::target_refused:
      return excuses.backend_refused;
    case Cause::target_failed:
      // Accepted and reset before the agent could look.
      if (conversation.sides[1].said_reset) return true;
      if (!scarce(conversation)) return false;
      return excuses.refused_open = true;
    case Cause::grace_expired:
      // A lane whose GOODBYE was lost, of a process that is gone, waits for the whole of its grace.
      // So it does at a server whose client's own grace was over before.
      if (conversation.sides[side].orphan) return excuses.outage_over_grace || excuses.any();
      if (options_.lanes == 1 || !excuses.goodbye) watch_.grace_ran_out(conversation.client);
      return excuses.outage_over_grace;
    case Cause::client_restarted:
      return excuses.client_restarted || excuses.displaced || excuses.goodbye;
    case Cause::admin_kill:
      return excuses.agent_killed_stream;
    case Cause::draining:
      return excuses.drain;
    case Cause::limit:
      // What once was connected goes on, whatever becomes of the limits.
      if (conversation.sides[1].begins != Time{}) return false;
      if (!limits_may_refuse() && !scarce(conversation)) return false;
      return excuses.refused_open = true;
    case Cause::target_unresolved:
      if (!unresolved(conversation)) return false;
      return excuses.refused_open = true;
    case Cause::open_timeout:
      if (now() < conversation.opened_at + options_.open_timeout) return false;
      return excuses.refused_open = true;
    case Cause::target_timeout: {
      // The service answered while the agent did not run, or its name was known late.
      Duration known_after = std::max(names_known_from_ - conversation.opened_at, Duration{});
      Duration took = longest_server_stall_ + conversation.script.connect_delay + known_after;
      if (took < Target{}.connect_timeout) return false;
      return excuses.refused_open = true;
    }
    case Cause::linger_timeout: {
      const auto& sides = conversation.sides;
      return std::any_of(std::begin(sides), std::end(sides), [this](const Side& each) {
        return each.abort_told &&
               now() + kTellingSlack >= each.abort_told_at + tuning::kAbortLinger;
      });
    }
    case Cause::server_restarted:
      return excuses.server_restarted || excuses.displaced;
    case Cause::goodbye:
    case Cause::shutdown:
      return excuses.goodbye || excuses.drain || excuses.displaced;
    case Cause::stale:
    case Cause::peer_gone:
    case Cause::duplicate_name:
      // The other end's had its reason, or the link.
      return excuses.any();
    default:
      return false;
  }
}

// Its service's socket met a lack of descriptors.
bool World::scarce(const Conversation& conversation) const {
  return scarce_until_ >= conversation.opened_at || options_.descriptors < kPlentyOfDescriptors;
}

// Nobody could say its service's address, and the server never knew it.
bool World::unresolved(const Conversation& conversation) const {
  if (names_known_from_ < conversation.opened_at) return false;
  return std::none_of(conversations_.begin(), conversations_.end(), [&](const auto& each) {
    const Time connected = each->sides[1].begins;
    return each->script.service == conversation.script.service && connected > server_started_ &&
           connected < conversation.opened_at;
  });
}

void World::open_refused(const Agent&, std::string_view peer, Cause cause) {
  totals_.refusals += 1;
  bool explained =
      cause == Cause::limit ? limits_may_refuse() : cause == Cause::draining && server_->draining();
  if (!explained) {
    kernel_.blame("an OPEN refused with cause " + std::string(to_string(cause)));
  }
  // The client hears of it by RESET.
  for (std::uint32_t i = 0; i < clients_.size(); ++i) {
    if (clients_[i]->name() == peer) excuse(i, &Excuses::refused_open);
  }
}

void World::excuse_all(bool Excuses::*why) {
  for (std::uint32_t i = 0; i < clients_.size(); ++i) excuse(i, why);
}

}  // namespace holdfast::sim
