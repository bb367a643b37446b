// What the oracle holds each step of a world to.
#include <algorithm>

#include "tests/sim/world.h"

namespace holdfast::sim {

void World::check(ClientHost& host) {
  if (!host.running()) return;
  host.link()->check_invariants();
  check_pool(*host.pool(), 1);
}

void World::check(ServerHost& host) {
  if (!host.running()) return;
  std::size_t links = 0;
  host.for_each_driver([&](LinkDriver& driver) {
    driver.link().check_invariants();
    links += 1;
  });
  check_pool(*host.pool(), links);
}

// Shared parts stay under their limits; blocks beyond floors and shared parts can only be those
// that a gather still refers to.
void World::check_pool(const MemoryPool& pool, std::size_t links) const {
  std::uint64_t half = pool.memory() / 2;
  std::uint64_t shared = half - std::min(half, MemoryPool::kStreamFloor * pool.max_streams());
  require(pool.send.used() <= shared, "send logs over their half of the memory");
  require(pool.receive.used() <= shared, "receive credit over its half of the memory");
  std::uint64_t pins = links * std::min<std::uint64_t>(tuning::kMaxGatherBuffers,
                                                       options_.gather / tuning::kBlockSize + 2 +
                                                           2 * conversations_.size());
  std::uint64_t blocks = pool.arena.in_use();
  std::uint64_t allowed = 2 * tuning::kFloorBlocks * pool.streams() +
                          (pool.send.used() + pool.receive.used()) / tuning::kBlockSize + pins;
  require(blocks <= allowed, "blocks held that nobody accounts for: " + std::to_string(blocks) +
                                 " of " + std::to_string(allowed));
}

void World::link_up(LinkDriver&, int side, const effect::LinkUp& up) {
  if (side == 0 && up.resumed) totals_.resumes += 1;
}

void World::link_ended(LinkDriver& driver, int side, Cause cause) {
  std::uint32_t client = driver.client();
  std::string who = side == 0 ? "the client's link" : "the server's link";
  // Nobody here breaks the protocol: a violation is a bug of the sender or of the judge.
  require(cause != Cause::protocol, who + " ended for a violation: " + driver.link().detail());
  if (cause == Cause::grace_expired) {
    Duration grace =
        std::min({options_.grace, options_.service_grace[0], options_.service_grace[1]});
    require(driver.longest_outage() >= grace, who + "'s grace expired too early");
  }
  if (side == 0) {
    links_renewed_ += 1;
    return new_link(client);
  }
  // What the client opens before it hears of that is lost with the link.
  ClientHost& host = *clients_[client];
  bool current = host.running() && host.link()->id() == driver.link().id();
  if (current && cause == Cause::grace_expired) excuse(client, &Excuses::outage_over_grace);
}

void World::new_link(std::uint32_t client) {
  Excuses old = std::exchange(standing_[client], {});
  standing_[client].displaced = old.displaced;
}

void World::client_exited(std::uint32_t client) {
  if (!finished_ && healed_ && client < options_.clients) clients_[client]->start();
}

void World::stream_ended(Conversation& conversation, int side, const StreamSummary& summary) {
  Duration& longest = longest_[conversation.index];
  for (Side& one : conversation.sides) {
    if (one.driver != nullptr) longest = std::max(longest, one.driver->longest_outage());
  }
  explain(conversation, side, summary.cause, "ended");
}

bool World::outage_over_grace(const Conversation& conversation) const {
  Duration grace = std::min(options_.grace, options_.service_grace[conversation.script.service]);
  auto known = longest_.find(conversation.index);
  Duration longest = known == longest_.end() ? Duration{} : known->second;
  for (const Side& one : conversation.sides) {
    if (one.driver != nullptr) longest = std::max(longest, one.driver->longest_outage());
  }
  return longest >= grace;
}

// Every end but the applications' own needs something that happened to explain it.
void World::explain(Conversation& conversation, int side, Cause cause, const char* what) {
  Excuses& excuses = conversation.excuses;
  if (!excuses.outage_over_grace) excuses.outage_over_grace = outage_over_grace(conversation);
  if (std::string_view(what) == "reset") {
    totals_.resets[std::min<int>(static_cast<int>(cause), Totals::kCauses - 1)] += 1;
  }
  bool explained = excuses.any();
  switch (cause) {
    case Cause::client_fin:
    case Cause::target_fin:
      return;
    case Cause::client_rst:
    case Cause::target_rst:
      explained = excuses.application_reset;
      break;
    case Cause::target_refused:
      explained = excuses.backend_refused;
      break;
    case Cause::grace_expired:
      explained = excuses.outage_over_grace;
      break;
    case Cause::client_restarted:
      explained = excuses.client_restarted || excuses.displaced || excuses.goodbye;
      break;
    case Cause::admin_kill:
      explained = excuses.agent_killed_stream;
      break;
    case Cause::draining:
      explained = excuses.drain;
      break;
    case Cause::limit:
      explained = conversations_.size() > options_.max_streams;
      if (explained) excuses.refused_open = true;
      break;
    case Cause::open_timeout:
      explained = now_ >= conversation.opened_at + options_.open_timeout;
      if (explained) excuses.refused_open = true;
      break;
    case Cause::linger_timeout:
      explained = excuses.application_reset;
      break;
    case Cause::none:
    case Cause::protocol:
      explained = false;
      break;
    default:
      break;
  }
  require(explained, conversation.name() + (side == 0 ? " at the client" : " at the server") + " " +
                         what + " with cause " + std::string(to_string(cause)) +
                         ", which nothing explains");
}

void World::open_refused(std::uint32_t client, const effect::OpenRefused& refused) {
  totals_.refusals += 1;
  bool explained = refused.cause == Cause::limit
                       ? conversations_.size() > options_.max_streams
                       : refused.cause == Cause::draining && server_->draining();
  require(explained, "an OPEN refused with cause " + std::string(to_string(refused.cause)));
  // The client hears of it by RESET.
  excuse(client, &Excuses::refused_open);
}

void World::open_failed(Conversation& conversation, bool leaving) {
  conversation.excuses.refused_open = true;
  bool full = conversations_.size() > options_.max_streams;
  require(leaving || full, conversation.name() + ": open() failed for no reason");
}

void World::refusal(std::uint32_t client, Cause cause) {
  totals_.refusals += 1;
  bool explained = false;
  switch (cause) {
    case Cause::duplicate_name:
    case Cause::limit:
    case Cause::stale:
      explained = true;
      break;
    case Cause::draining:
      explained = server_->draining();
      break;
    default:
      break;
  }
  require(explained,
          clients_[client]->name() + " refused with cause " + std::string(to_string(cause)));
}

// A HELLO of an older process that comes late may displace the newer one's link: it cannot be
// told from a newer process's. Whoever it hits is excused.
void World::hello_seen(Carrier& carrier, const Hello& hello) {
  hellos_seen_ += 1;
  for (std::uint32_t i = 0; i < clients_.size(); ++i) {
    ClientHost& host = *clients_[i];
    if (host.name() != clients_[carrier.client]->name() || !host.running()) continue;
    if (host.link()->options().start_id == hello.start_id) continue;
    excuse(i, &Excuses::displaced);
  }
}

void World::note_carrier_end(Cause cause) {
  totals_.carrier_ends[std::min<int>(static_cast<int>(cause), Totals::kCauses - 1)] += 1;
}

void World::count(const LinkCounters& counters, int) {
  totals_.replayed_bytes += counters.replayed_bytes;
}

void Totals::add(const Totals& other) {
  runs += other.runs;
  steps += other.steps;
  streams += other.streams;
  untouched += other.untouched;
  bytes += other.bytes;
  cuts += other.cuts;
  dials += other.dials;
  resumes += other.resumes;
  replayed_bytes += other.replayed_bytes;
  refusals += other.refusals;
  unknown += other.unknown;
  stale += other.stale;
  handshakes += other.handshakes;
  handshakes_lost += other.handshakes_lost;
  ciphertext += other.ciphertext;
  virtual_seconds += other.virtual_seconds;
  for (int i = 0; i < kFaultKinds; ++i) faults[i] += other.faults[i];
  for (int i = 0; i < kCauses; ++i) {
    resets[i] += other.resets[i];
    carrier_ends[i] += other.carrier_ends[i];
  }
}

std::string Totals::describe() const {
  std::string out;
  auto number = [&out](const char* name, std::uint64_t value) {
    out += std::string(name) + " " + std::to_string(value) + "\n";
  };
  number("runs", runs);
  number("steps", steps);
  number("virtual seconds", virtual_seconds);
  number("streams", streams);
  number("streams that nothing may harm", untouched);
  number("bytes delivered", bytes);
  number("cuts", cuts);
  number("dials", dials);
  number("resumes", resumes);
  number("replayed bytes", replayed_bytes);
  number("refusals", refusals);
  number("unknown links", unknown);
  number("stale attempts", stale);
  if (ciphertext != 0) {
    number("TLS handshakes", handshakes);
    number("TLS handshakes that came to nothing", handshakes_lost);
    number("bytes of ciphertext", ciphertext);
  }
  out += "faults:";
  for (int i = 0; i < kFaultKinds; ++i) {
    if (faults[i] == 0) continue;
    out +=
        std::string(" ") + to_string(static_cast<FaultKind>(i)) + " " + std::to_string(faults[i]);
  }
  out += "\nsockets reset by cause:";
  for (int i = 0; i < kCauses; ++i) {
    if (resets[i] == 0) continue;
    out += " " + std::string(holdfast::to_string(cause_from_code(static_cast<std::uint16_t>(i)))) +
           " " + std::to_string(resets[i]);
  }
  out += "\ncarriers closed by cause:";
  for (int i = 0; i < kCauses; ++i) {
    if (carrier_ends[i] == 0) continue;
    out += " " + std::string(holdfast::to_string(cause_from_code(static_cast<std::uint16_t>(i)))) +
           " " + std::to_string(carrier_ends[i]);
  }
  return out + "\n";
}

}  // namespace holdfast::sim
