#include "tests/sim/options.h"

#include <algorithm>
#include <cstdio>

#include "common/core/memory_pool.h"
#include "tests/sim/hardships.h"

namespace holdfast::sim {
namespace {

template <typename T>
T pick(Random& random, std::initializer_list<T> choices) {
  return choices.begin()[random.below(choices.size())];
}

Duration between_ms(Random& random, std::uint64_t low, std::uint64_t high) {
  return milliseconds(static_cast<std::int64_t>(random.between(low, high)));
}

// Mostly small numbers, now and then up to `most`.
std::uint64_t skewed(Random& random, std::uint64_t most) {
  std::uint64_t bits = random.below(64 - static_cast<std::uint64_t>(__builtin_clzll(most | 1)) + 1);
  return std::min(most, random.below((std::uint64_t{1} << bits) + 1));
}

struct Scale {
  const char* name;
  std::uint32_t clients;
  std::uint32_t conversations;
  std::uint64_t bytes;
  std::uint32_t faults;
};
constexpr Scale kTiny = {"tiny", 1, 3, 3000, 4};
constexpr Scale kSmall = {"small", 2, 8, 40000, 8};
constexpr Scale kBig = {"big", kMostClients, 24, 400000, 12};
constexpr Scale kHuge = {"huge", kMostClients, 200, 100000, 12};

const Scale& draw_scale(Random& random) {
  std::uint64_t n = random.below(1000);
  if (n < 700) return kTiny;
  if (n < 970) return kSmall;
  if (n < 998) return kBig;
  return kHuge;
}

SideScript draw_side(Random& random, const Scale& scale, const Options& options) {
  SideScript side;
  side.total = random.one_in(6) ? 0 : skewed(random, scale.bytes);
  side.chunk = static_cast<std::uint32_t>(
      std::max<std::uint64_t>(1 + side.total / random.between(1, 12), 1));
  if (!random.one_in(3)) side.gap = between_ms(random, 0, 400);
  std::uint64_t end = random.below(10);
  if (end < 5) {
    side.end = SideScript::End::close;
  } else if (end < 8) {
    side.end = SideScript::End::answer_close;
  } else if (end < 9) {
    side.end = SideScript::End::hold;
  } else {
    side.end = SideScript::End::reset;
    side.reset_at = random.between(0, side.total);
  }
  side.receive_buffer = static_cast<std::uint32_t>(random.between(1, 1 + skewed(random, 65536)));
  if (random.one_in(3)) {
    side.read_chunk = static_cast<std::uint32_t>(
        std::max<std::uint64_t>(scale.bytes / random.between(4, 20), 64));
    side.read_gap = between_ms(random, 1, 300);
  } else {
    side.read_chunk = 65536;
    side.receive_buffer = std::max(side.receive_buffer, 4096U);
  }
  side.send_buffer = random.one_in(3) ? static_cast<std::uint32_t>(skewed(random, 8192)) : 0;
  if (random.one_in(5))
    side.stall = Duration(
        random.between(0, static_cast<std::uint64_t>(options.heal_at.time_since_epoch().count())));
  return side;
}

ConversationScript draw_conversation(Random& random, const Scale& scale, const Options& options) {
  ConversationScript script;
  auto horizon = static_cast<std::uint64_t>(options.heal_at.time_since_epoch().count());
  script.start = Time(Duration(random.below(random.one_in(2) ? horizon / 4 + 1 : horizon)));
  script.client = static_cast<std::uint32_t>(random.below(options.clients));
  script.service = static_cast<std::uint16_t>(random.below(options.services));
  for (SideScript& side : script.sides) side = draw_side(random, scale, options);
  script.connect_delay = random.one_in(8) ? between_ms(random, 0, 4000) : between_ms(random, 0, 5);
  script.backend_refuses = random.one_in(20);
  return script;
}

// How often each kind is drawn; the heavy ones (a process dies) are rare.
std::uint32_t weight(FaultKind kind) {
  switch (kind) {
    case FaultKind::cut:
    case FaultKind::cut_after_bytes:
    case FaultKind::outage:
    case FaultKind::blackout:
      return 10;
    case FaultKind::cut_client_sees:
    case FaultKind::cut_server_sees:
    case FaultKind::silence:
    case FaultKind::silence_for_good:
      return 6;
    case FaultKind::restart_client:
    case FaultKind::restart_server:
    case FaultKind::goodbye_client:
    case FaultKind::goodbye_lost:
    case FaultKind::goodbye_server:
    case FaultKind::drain_server:
    case FaultKind::clone_client:
      return 1;
    default:
      return 3;
  }
}

FaultKind draw_kind(Random& random) {
  std::uint32_t sum = 0;
  for (int i = 0; i < kUsualFaultKinds; ++i) sum += weight(static_cast<FaultKind>(i));
  std::uint64_t n = random.below(sum);
  for (int i = 0; i < kUsualFaultKinds; ++i) {
    std::uint32_t part = weight(static_cast<FaultKind>(i));
    if (n < part) return static_cast<FaultKind>(i);
    n -= part;
  }
  return FaultKind::cut;
}

Duration draw_length(Random& random, const Options& options) {
  std::uint64_t n = random.below(10);
  if (n < 6) return between_ms(random, 0, 3000);
  // Around the grace: which of expiry and resume comes first is a race.
  Duration grace = random.one_in(2) ? options.grace : options.service_grace[0];
  if (n < 7) return grace - milliseconds(700) + between_ms(random, 0, 1400);
  if (n < 8) return Duration(grace.count() / 2);
  return between_ms(random, 0, 12000);
}

Fault draw_fault(Random& random, const Scale& scale, const Options& options) {
  Fault fault;
  auto horizon = static_cast<std::uint64_t>(options.heal_at.time_since_epoch().count());
  fault.at = Time(Duration(random.below(horizon)));
  fault.kind = draw_kind(random);
  fault.client = static_cast<std::uint32_t>(random.below(options.clients));
  fault.length = std::max(draw_length(random, options), Duration{});
  fault.bytes = skewed(random, scale.bytes);
  return fault;
}

void draw_limits(Random& random, const Scale& scale, Options& options) {
  options.max_window = random.one_in(4) ? pick<std::uint64_t>(random, {4096, 8192, 20000})
                                        : pick<std::uint64_t>(random, {65536, 1 << 20, 16 << 20});
  options.max_streams = 1000;
  std::uint64_t floors = 2 * MemoryPool::kStreamFloor * options.max_streams;
  if (random.one_in(4)) {
    // Nothing but floors, or hardly more.
    options.max_streams = random.one_in(6) ? 2 : scale.conversations + 1;
    floors = 2 * MemoryPool::kStreamFloor * options.max_streams;
    options.memory = floors + pick<std::uint64_t>(random, {0, 8192, 65536, 300000});
  } else {
    options.memory = floors + 4 * 1024 * 1024;
  }
}

void draw_path(Random& random, const Scale& scale, Options& options) {
  Path::Shape& path = options.path;
  path.delay = random.one_in(4) ? between_ms(random, 0, 300) : between_ms(random, 0, 20);
  // A gather of the agents', or all that a world has to say, takes a good part of dead_after at
  // most: on poorer paths healthy carriers are lost today.
  if (random.one_in(3)) {
    std::uint64_t most = std::min<std::uint64_t>(scale.bytes * 4, 512 * 1024);
    auto patience = static_cast<std::uint64_t>(options.dead_after.count());
    path.rate = random.between(std::max<std::uint64_t>(most * 4000000 / patience, 16000),
                               scale.bytes * 40 + most * 8);
  }
  auto buffer = [&] {
    return random.one_in(3) ? random.between(1, 3000)
                            : pick<std::uint64_t>(random, {16384, 65536, 1 << 20});
  };
  // No kernel holds so little that a heartbeat's answer takes dead_after.
  auto least = static_cast<std::uint64_t>(path.delay.count()) * 3 / 10;
  if (scale.bytes > 50000) least = std::max<std::uint64_t>(least, 8192);
  path.send_buffer = std::max(buffer(), least);
  path.receive_buffer = std::max(buffer(), least);
}

}  // namespace

Options Options::plain() {
  Options options;
  options.size = "scenario";
  options.service_grace[0] = options.service_grace[1] = options.grace;
  options.heal_at = Time(seconds(20));
  std::uint64_t floors = 2 * MemoryPool::kStreamFloor * options.max_streams;
  options.memory = floors + 16 * 1024 * 1024;
  return options;
}

Options Options::draw(std::uint64_t seed) {
  // The world's own generator starts from the same seed: a different stream of numbers here.
  Random random(seed * 2 + 0x5eed);
  Options options;
  options.seed = seed;
  const Scale& scale = draw_scale(random);
  options.size = scale.name;
  options.clients = static_cast<std::uint32_t>(random.between(1, scale.clients));
  options.services = static_cast<std::uint32_t>(random.between(1, 2));
  options.grace = pick<Duration>(random, {seconds(3), seconds(10), seconds(30), seconds(60)});
  options.service_grace[0] = options.grace;
  options.service_grace[1] = random.one_in(2) ? options.grace : Duration(options.grace.count() / 3);
  options.heartbeat = pick<Duration>(random, {milliseconds(200), seconds(1)});
  options.dead_after = options.heartbeat * 3 + seconds(1) +
                       pick<Duration>(random, {Duration{}, seconds(2), seconds(12)});
  options.open_timeout = pick<Duration>(random, {seconds(2), seconds(30)});
  options.heal_at = Time(between_ms(random, 1000, random.one_in(4) ? 40000 : 10000));
  draw_limits(random, scale, options);
  draw_path(random, scale, options);
  std::uint64_t conversations = random.between(1, scale.conversations);
  for (std::uint64_t i = 0; i < conversations; ++i) {
    options.conversations.push_back(draw_conversation(random, scale, options));
  }
  std::uint64_t faults = random.one_in(20) ? 0 : random.between(1, scale.faults);
  for (std::uint64_t i = 0; i < faults; ++i) {
    options.faults.push_back(draw_fault(random, scale, options));
  }
  std::stable_sort(options.faults.begin(), options.faults.end(),
                   [](const Fault& a, const Fault& b) { return a.at < b.at; });
  options.tls = random.one_in(10);
  draw_hardships(seed, options);
  draw_small_packets(seed, options);
  draw_lanes(seed, options);
  return options;
}

const char* to_string(FaultKind kind) {
  switch (kind) {
    case FaultKind::cut:
      return "cut";
    case FaultKind::cut_after_bytes:
      return "cut_after_bytes";
    case FaultKind::cut_client_sees:
      return "cut_client_sees";
    case FaultKind::cut_server_sees:
      return "cut_server_sees";
    case FaultKind::end_of_file:
      return "end_of_file";
    case FaultKind::silence:
      return "silence";
    case FaultKind::silence_to_server:
      return "silence_to_server";
    case FaultKind::silence_to_client:
      return "silence_to_client";
    case FaultKind::silence_for_good:
      return "silence_for_good";
    case FaultKind::outage:
      return "outage";
    case FaultKind::blackout:
      return "blackout";
    case FaultKind::slow_hello:
      return "slow_hello";
    case FaultKind::refuse_dials:
      return "refuse_dials";
    case FaultKind::hang_dials:
      return "hang_dials";
    case FaultKind::replay_hello:
      return "replay_hello";
    case FaultKind::late_turn_client:
      return "late_turn_client";
    case FaultKind::late_turn_server:
      return "late_turn_server";
    case FaultKind::kill_stream_client:
      return "kill_stream_client";
    case FaultKind::kill_stream_server:
      return "kill_stream_server";
    case FaultKind::reconnect:
      return "reconnect";
    case FaultKind::address_change:
      return "address_change";
    case FaultKind::restart_client:
      return "restart_client";
    case FaultKind::restart_server:
      return "restart_server";
    case FaultKind::goodbye_client:
      return "goodbye_client";
    case FaultKind::goodbye_lost:
      return "goodbye_lost";
    case FaultKind::goodbye_server:
      return "goodbye_server";
    case FaultKind::drain_server:
      return "drain_server";
    case FaultKind::clone_client:
      return "clone_client";
    case FaultKind::storm:
      return "storm";
    case FaultKind::swallow:
      return "swallow";
    case FaultKind::middlebox:
      return "middlebox";
    case FaultKind::names_fail:
      return "names_fail";
    case FaultKind::names_hang:
      return "names_hang";
    case FaultKind::names_unknown:
      return "names_unknown";
    case FaultKind::descriptors_client:
      return "descriptors_client";
    case FaultKind::descriptors_server:
      return "descriptors_server";
    case FaultKind::limit_server:
      return "limit_server";
    case FaultKind::small_packets:
      return "small_packets";
  }
  return "invalid";
}

namespace {

double in_seconds(Duration duration) {
  return static_cast<double>(duration.count()) / 1e6;
}

const char* to_string(SideScript::End end) {
  switch (end) {
    case SideScript::End::close:
      return "close";
    case SideScript::End::answer_close:
      return "answer_close";
    case SideScript::End::reset:
      return "reset";
    case SideScript::End::hold:
      return "hold";
  }
  return "invalid";
}

std::string describe_side(const SideScript& side) {
  char text[256];
  std::snprintf(
      text, sizeof text,
      "%llu bytes by %u every %.3fs then %s(%llu), reads %u every %.3fs after %.3fs buf %u + %u",
      static_cast<unsigned long long>(side.total), side.chunk, in_seconds(side.gap),
      to_string(side.end), static_cast<unsigned long long>(side.reset_at), side.read_chunk,
      in_seconds(side.read_gap), in_seconds(side.stall), side.receive_buffer, side.send_buffer);
  return text;
}

}  // namespace

std::string Options::describe_hardships() const {
  std::string out = "  hardships:";
  for (Hardship each : hardships) out += std::string(" ") + holdfast::sim::to_string(each);
  char text[256];
  std::snprintf(
      text, sizeof text,
      "; jitter %.3fs loss %u burst %.3fs queue %lld%s server streams %u descriptors %zu%s\n",
      in_seconds(path.jitter), path.loss, in_seconds(path.burst),
      path.queue == UINT64_MAX ? -1LL : static_cast<long long>(path.queue),
      path.queue_by_flow ? " by flow" : "", server_streams, descriptors, names ? " names" : "");
  return out + text;
}

std::string Options::describe() const {
  char text[512];
  std::snprintf(
      text, sizeof text,
      "seed %llu: %s, %u client(s), grace %.1fs/%.1fs/%.1fs heartbeat %.1fs dead_after %.1fs "
      "open_timeout %.1fs lanes %u..%u%s\n  window %llu memory %llu streams %u delay %.3fs rate "
      "%llu "
      "buffers %zu %zu heal at %.3fs\n",
      static_cast<unsigned long long>(seed), size.c_str(), clients, in_seconds(grace),
      in_seconds(service_grace[0]), in_seconds(service_grace[1]), in_seconds(heartbeat),
      in_seconds(dead_after), in_seconds(open_timeout), first_lanes, lanes, tls ? " tls" : "",
      static_cast<unsigned long long>(max_window), static_cast<unsigned long long>(memory),
      max_streams, in_seconds(path.delay), static_cast<unsigned long long>(path.rate),
      path.send_buffer, path.receive_buffer, in_seconds(heal_at.time_since_epoch()));
  std::string out = text;
  if (!hardships.empty()) out += describe_hardships();
  for (std::size_t i = 0; i < conversations.size(); ++i) {
    const ConversationScript& script = conversations[i];
    std::snprintf(text, sizeof text, "  conversation %zu at %.3fs client %u service %u%s +%.3fs\n",
                  i, in_seconds(script.start.time_since_epoch()), script.client, script.service,
                  script.backend_refuses ? " refused" : "", in_seconds(script.connect_delay));
    out += text;
    out += "    client:  " + describe_side(script.sides[0]) + "\n";
    out += "    backend: " + describe_side(script.sides[1]) + "\n";
  }
  for (const Fault& fault : faults) {
    std::snprintf(text, sizeof text, "  fault at %.3fs %s client %u for %.3fs bytes %llu\n",
                  in_seconds(fault.at.time_since_epoch()), to_string(fault.kind), fault.client,
                  in_seconds(fault.length), static_cast<unsigned long long>(fault.bytes));
    out += text;
  }
  return out;
}

}  // namespace holdfast::sim
