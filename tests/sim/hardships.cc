#include "tests/sim/hardships.h"

#include <algorithm>

#include "common/core/memory_pool.h"
#include "common/core/tuning.h"
#include "common/wire/constants.h"

namespace holdfast::sim {
namespace {

constexpr std::uint64_t kFull = 1514;  // bytes of a packet as the line counts it

Duration between_ms(Random& random, std::uint64_t low, std::uint64_t high) {
  return milliseconds(static_cast<std::int64_t>(random.between(low, high)));
}

std::uint64_t longest_side(const Options& options) {
  std::uint64_t most = 0;
  for (const ConversationScript& script : options.conversations) {
    for (const SideScript& side : script.sides) most = std::max(most, side.total);
  }
  return most;
}

// A poor path takes its time: worlds over it have little to say.
void say_little(Options& options, std::size_t conversations, std::uint64_t bytes) {
  if (options.conversations.size() > conversations) options.conversations.resize(conversations);
  if (longest_side(options) <= bytes) return;
  for (ConversationScript& script : options.conversations) {
    for (SideScript& side : script.sides) {
      side.total = std::min(side.total, bytes);
      side.reset_at = std::min(side.reset_at, side.total);
    }
  }
}

bool spares_paths(FaultKind kind) {
  switch (kind) {
    case FaultKind::address_change:
    case FaultKind::kill_stream_client:
    case FaultKind::kill_stream_server:
    case FaultKind::refuse_dials:
    case FaultKind::hang_dials:
      return true;
    default:
      return false;
  }
}

// Half of the poor paths are nothing but poor: there no carrier may be lost.
void be_gentle(Random& random, Options& options) {
  if (random.one_in(2)) return;
  std::erase_if(options.faults, [](const Fault& fault) { return !spares_paths(fault.kind); });
}

void widen_buffers(Options& options, std::size_t least) {
  options.path.send_buffer = std::max(options.path.send_buffer, least);
  options.path.receive_buffer = std::max(options.path.receive_buffer, least);
}

void add_fault(Random& random, Options& options, FaultKind kind, std::uint64_t longest_ms) {
  Fault fault;
  auto horizon = static_cast<std::uint64_t>(options.heal_at.time_since_epoch().count());
  fault.at = Time(Duration(static_cast<std::int64_t>(random.below(horizon))));
  fault.kind = kind;
  fault.client = static_cast<std::uint32_t>(random.below(options.clients));
  fault.length = between_ms(random, 100, longest_ms);
  fault.bytes = random.below(4);
  options.faults.push_back(fault);
}

void add_faults(Random& random, Options& options, FaultKind kind, std::uint64_t longest_ms) {
  std::uint64_t count = random.between(1, 3);
  for (std::uint64_t i = 0; i < count; ++i) add_fault(random, options, kind, longest_ms);
}

// A line and a queue that a window of segments may well overflow.
void narrow(Random& random, Options& options, bool by_flow) {
  Path::Shape& path = options.path;
  path.rate = random.between(20000, 400000);
  path.queue = random.between(3 * kFull, 30 * kFull);
  path.queue_by_flow = by_flow;
  path.delay = std::min<Duration>(path.delay, milliseconds(100));
  widen_buffers(options, 16384);
  say_little(options, 8, 30000);
  be_gentle(random, options);
}

void make_slow(Random& random, Options& options) {
  Path::Shape& path = options.path;
  path.rate = random.between(8000, 32000);
  path.delay = std::min<Duration>(path.delay, milliseconds(150));
  if (random.one_in(2)) {
    path.queue = random.between(4 * kFull, 50 * kFull);
    path.queue_by_flow = random.one_in(2);
  }
  widen_buffers(options, 16384);
  options.heartbeat = seconds(1);
  options.dead_after = std::max<Duration>(options.dead_after, seconds(6));
  say_little(options, 3, 12000);
  be_gentle(random, options);
}

void make_lossy(Random& random, Options& options, bool bursts) {
  Path::Shape& path = options.path;
  path.loss = static_cast<std::uint32_t>(bursts ? random.between(1, 5) : random.between(1, 30));
  if (bursts) path.burst = between_ms(random, 1, 60);
  path.delay = std::min<Duration>(path.delay, milliseconds(100));
  widen_buffers(options, 16384);
  say_little(options, 8, 30000);
  be_gentle(random, options);
}

void give_names(Random& random, Options& options) {
  options.names = true;
  for (FaultKind kind : {FaultKind::names_fail, FaultKind::names_hang, FaultKind::names_unknown}) {
    if (random.one_in(2)) add_faults(random, options, kind, 15000);
  }
  // From the beginning on, as when a host boots before its network is there.
  if (!options.faults.empty() && random.one_in(3)) options.faults.back().at = Time{};
}

void differ(Random& random, Options& options) {
  auto applications = static_cast<std::uint32_t>(options.conversations.size());
  options.server_streams = static_cast<std::uint32_t>(random.between(1, applications + 1));
}

void sort_faults(Options& options) {
  std::stable_sort(options.faults.begin(), options.faults.end(),
                   [](const Fault& a, const Fault& b) { return a.at < b.at; });
}

}  // namespace

void harden(Random& random, Hardship hardship, Options& options) {
  switch (hardship) {
    case Hardship::loss:
    case Hardship::bursts:
      return make_lossy(random, options, hardship == Hardship::bursts);
    case Hardship::shared_queue:
    case Hardship::queue_by_flow:
      return narrow(random, options, hardship == Hardship::queue_by_flow);
    case Hardship::jitter:
      options.path.jitter = between_ms(random, 1, 80);
      return be_gentle(random, options);
    case Hardship::slow:
      return make_slow(random, options);
    case Hardship::storm:
      return add_faults(random, options, FaultKind::storm, 6000);
    case Hardship::swallow:
      return add_faults(random, options, FaultKind::swallow, 8000);
    case Hardship::middlebox:
      return add_faults(random, options, FaultKind::middlebox, 15000);
    case Hardship::names:
      return give_names(random, options);
    case Hardship::descriptors:
      add_faults(random, options, FaultKind::descriptors_client, 5000);
      return add_faults(random, options, FaultKind::descriptors_server, 5000);
    case Hardship::few_descriptors:
      options.descriptors = random.between(80, 96);
      return;
    case Hardship::limits_differ:
      return differ(random, options);
    case Hardship::limits_change:
      if (random.one_in(2)) differ(random, options);
      return add_faults(random, options, FaultKind::limit_server, 8000);
  }
}

void draw_hardships(std::uint64_t seed, Options& options) {
  Random random(seed * 2 + 0xbad);
  if (!random.one_in(4)) return;
  std::uint64_t count = random.one_in(5) ? 2 : 1;
  for (std::uint64_t i = 0; i < count; ++i) {
    auto hardship = static_cast<Hardship>(random.below(kHardships));
    // Long in virtual time: fewer of them.
    if (hardship == Hardship::slow && !random.one_in(3)) hardship = Hardship::loss;
    options.hardships.push_back(hardship);
    harden(random, hardship, options);
  }
  sort_faults(options);
}

void draw_small_packets(std::uint64_t seed, Options& options) {
  Random random(seed * 2 + 0x3711);
  if (!random.one_in(12)) return;
  // A server that gives a carrier up within ten round trips may do so each time before a client has
  // found out: docs/PATHS.md.
  if (options.dead_after < 20 * (options.path.delay + options.path.jitter)) return;
  auto horizon = static_cast<std::uint64_t>(options.heal_at.time_since_epoch().count());
  bool from_the_beginning = random.one_in(2);
  for (std::uint32_t client = 0; client < options.clients; ++client) {
    if (client != 0 && random.one_in(2)) continue;
    Fault fault;
    fault.kind = FaultKind::small_packets;
    fault.client = client;
    fault.bytes = random.between(tuning::kSmallSegment, 1440);
    if (!from_the_beginning) fault.at = Time(Duration(random.below(horizon)));
    options.faults.push_back(fault);
  }
  sort_faults(options);
}

void draw_lanes(std::uint64_t seed, Options& options) {
  Random random(seed * 2 + 0x1a9e);
  if (!random.one_in(3)) return;
  if (random.one_in(2)) {
    options.lanes = tuning::kMostLanes;
    return;
  }
  options.lanes = static_cast<unsigned>(random.one_in(8) ? random.between(5, kLanesOfALink)
                                                         : random.between(2, 4));
  // As many carriers as that leave an agent with hardly more descriptors none for connections.
  if (options.descriptors < Options{}.descriptors) options.lanes = std::min(options.lanes, 4U);
  // Nor has a slow line room for so many handshakes at once.
  if (options.path.rate != 0 && options.path.rate < 40000)
    options.lanes = std::min(options.lanes, 4U);
  options.first_lanes = options.lanes;
}

const char* to_string(Hardship hardship) {
  switch (hardship) {
    case Hardship::loss:
      return "loss";
    case Hardship::bursts:
      return "bursts";
    case Hardship::shared_queue:
      return "shared_queue";
    case Hardship::queue_by_flow:
      return "queue_by_flow";
    case Hardship::jitter:
      return "jitter";
    case Hardship::slow:
      return "slow";
    case Hardship::storm:
      return "storm";
    case Hardship::swallow:
      return "swallow";
    case Hardship::middlebox:
      return "middlebox";
    case Hardship::names:
      return "names";
    case Hardship::descriptors:
      return "descriptors";
    case Hardship::few_descriptors:
      return "few_descriptors";
    case Hardship::limits_differ:
      return "limits_differ";
    case Hardship::limits_change:
      return "limits_change";
  }
  return "invalid";
}

}  // namespace holdfast::sim
