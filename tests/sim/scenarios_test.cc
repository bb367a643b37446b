// Named scenarios: one world each, nothing random but chunk sizes, the fault is one visible line.
#include "common/core/memory_pool.h"
#include "tests/catch.h"
#include "tests/sim/world.h"

namespace holdfast::sim {
namespace {

using End = SideScript::End;

Time at(Duration since_start) {
  return Time(since_start);
}

Fault fault(FaultKind kind, Duration length = {}, std::uint64_t bytes = 0) {
  return {{}, kind, 0, length, bytes};
}

// Both applications send so many bytes and then half-close.
ConversationScript exchange(std::uint64_t up, std::uint64_t down, Duration start = {}) {
  ConversationScript script;
  script.start = Time(start);
  script.sides[0].total = up;
  script.sides[1].total = down;
  for (SideScript& side : script.sides) {
    side.chunk = 16384;
    side.read_chunk = side.receive_buffer = 65536;
  }
  return script;
}

// As `exchange`, but a piece every 10 ms, so that bytes flow for (bytes / piece) × 10 ms.
ConversationScript trickle(std::uint64_t bytes, std::uint32_t piece, Duration start = {}) {
  ConversationScript script = exchange(bytes, bytes, start);
  for (SideScript& side : script.sides) {
    side.chunk = piece;
    side.gap = milliseconds(10);
  }
  return script;
}

bool exact(const Conversation& conversation) {
  for (int side = 0; side < 2; ++side) {
    const Side& to = conversation.sides[side];
    if (!to.got_fin || to.accepted != conversation.sides[1 - side].script.total) return false;
  }
  return true;
}

LinkCounters server_counters(World& world) {
  LinkCounters counters;
  world.server().for_each_link(
      [&](const LinkDriver& driver, const MemoryPool&) { counters = driver.link().counters(); });
  return counters;
}

Duration options_grace(World& world) {
  return world.options().grace;
}

LinkCounters client_counters(World& world) {
  return world.client(0).link().counters();
}

Options slow_path() {
  Options options = Options::plain();
  options.path.delay = milliseconds(20);
  options.path.rate = 2 * 1024 * 1024;
  options.path.send_buffer = options.path.receive_buffer = 256 * 1024;
  return options;
}

// Packets with more than 900 bytes of payload vanish from now on, both ways.
void swallow_large_packets(World& world) {
  Path::Shape shape = world.path(0).shape();
  shape.largest = 900;
  world.path(0).reshape(shape);
  world.watch().harm(0, at(seconds(3600)));  // no path that carries all
}

}  // namespace

TEST_CASE("a path that swallows large packets is found out, and smaller ones are sent") {
  struct Row {
    const char* what;
    std::uint64_t up, down;
    Duration within;
  };
  const Row rows[] = {{"up", 300000, 100, seconds(5)},
                      {"down", 100, 300000, seconds(6)},
                      {"both", 300000, 300000, seconds(4)}};
  for (bool fresh : {true, false}) {
    for (const Row& row : rows) {
      INFO(row.what << (fresh ? ", from the start" : ", from one moment on"));
      World world(slow_path());
      if (!fresh) {
        world.converse(exchange(20000, 20000));
        world.run_until(at(seconds(1)));
      }
      swallow_large_packets(world);
      Duration begin = fresh ? Duration{} : seconds(1);
      Conversation& bulk = world.converse(exchange(row.up, row.down, begin));
      Conversation& typist = world.converse(trickle(200, 2, begin));
      world.run_until(at(begin + row.within));
      CHECK(exact(typist));
      CHECK(exact(bulk));
      CHECK(client_counters(world).carriers_barren <= 2);
      CHECK(client_counters(world).carriers_lost <= 3);
      world.finish();
    }
  }
}

TEST_CASE("over a round trip of seconds the link stands after few dials") {
  for (int round_trip_s = 1; round_trip_s <= 5; ++round_trip_s) {
    for (bool waiting : {false, true}) {
      INFO(round_trip_s << " s" << (waiting ? ", an application waits" : ""));
      Options options = slow_path();
      options.path.delay = milliseconds(500) * round_trip_s;
      World world(options);
      if (waiting) world.converse(exchange(1000, 1000));
      Time until = at(seconds(4) * round_trip_s);
      world.run_until(until);
      CHECK(client_counters(world).carriers_lost == 0);
      CHECK(world.client(0).link().live());
      CHECK(world.totals().dials <= 6);
      world.finish();
    }
  }
}

TEST_CASE("behind a middlebox that answers connects a dial is under way soon after it is gone") {
  for (int outage_ms = 3000; outage_ms < 9000; outage_ms += 370) {
    INFO(outage_ms);
    World world(slow_path());
    Conversation& one = world.converse(trickle(4000, 2));
    world.run_until(at(seconds(1)));
    world.path(0).answer_until = at(seconds(1) + milliseconds(outage_ms));
    world.apply(fault(FaultKind::silence_for_good));
    world.run_until(at(seconds(2) + milliseconds(outage_ms)));
    CHECK(world.client(0).link().live());
    world.run_until(at(seconds(40)));
    CHECK(exact(one));
    world.finish();
  }
}

TEST_CASE("an exchange without faults is exact and replays nothing") {
  World world(Options::plain());
  Conversation& one = world.converse(exchange(1000, 100000));
  world.run_until(at(seconds(2)));
  CHECK(exact(one));
  CHECK(client_counters(world).replayed_bytes + server_counters(world).replayed_bytes == 0);
  world.finish();
}

TEST_CASE("a cut in the middle of data loses and doubles nothing, and bytes are sent again") {
  World world(slow_path());
  Conversation& one = world.converse(exchange(1000000, 1000000));
  for (int i = 1; i <= 5; ++i) {
    world.run_until(at(milliseconds(200) * i));
    world.apply(fault(FaultKind::cut));
  }
  world.run_until(at(seconds(10)));
  CHECK(exact(one));
  CHECK(client_counters(world).replayed_bytes > 0);
  CHECK(server_counters(world).replayed_bytes > 0);
  world.finish();
}

TEST_CASE("a half-close made during an outage still lets the whole answer through") {
  World world(slow_path());
  ConversationScript script = exchange(300, 200000, milliseconds(1500));
  script.sides[1].end = End::answer_close;
  Conversation& one = world.converse(trickle(3000, 10));  // keeps the link wanted
  Conversation& other = world.converse(script);
  world.run_until(at(seconds(1)));
  world.apply(fault(FaultKind::outage, seconds(3)));
  world.run_until(at(seconds(10)));
  CHECK(exact(one));
  CHECK(exact(other));
  world.finish();
}

TEST_CASE("an application's reset arrives in order after the bytes before it") {
  World world(slow_path());
  ConversationScript script = exchange(100000, 0);
  script.sides[0].end = End::reset;
  script.sides[0].reset_at = 50000;
  script.sides[1].end = End::hold;
  Conversation& one = world.converse(script);
  world.run_until(at(milliseconds(30)));
  world.apply(fault(FaultKind::cut));
  world.run_until(at(seconds(5)));
  CHECK(one.sides[1].accepted == one.sides[0].taken);
  CHECK(one.sides[1].got_reset);
  CHECK(one.sides[1].lost == 0);
  CHECK_FALSE(one.sides[1].got_fin);
  world.heal();
  world.finish();
}

TEST_CASE("a takeover succeeds while the old carrier still looks alive to the server") {
  World world(slow_path());
  Conversation& one = world.converse(trickle(20000, 100));
  world.run_until(at(milliseconds(500)));
  world.apply(fault(FaultKind::cut_client_sees));
  world.run_until(at(seconds(10)));
  CHECK(exact(one));
  CHECK(client_counters(world).resumes == 1);
  world.finish();
}

TEST_CASE("a stale attempt is closed without effect on the live carrier") {
  World world(slow_path());
  Conversation& one = world.converse(trickle(40000, 100));
  world.run_until(at(milliseconds(500)));
  world.apply(fault(FaultKind::cut));
  world.run_until(at(milliseconds(1000)));
  std::uint64_t lost = server_counters(world).carriers_lost;
  world.apply(fault(FaultKind::replay_hello, seconds(1)));
  world.run_until(at(seconds(10)));
  CHECK(world.totals().stale == 1);
  CHECK(server_counters(world).carriers_lost == lost);
  CHECK(exact(one));
  world.finish();
}

TEST_CASE("a restarted server resets its streams with the cause and unsent ones move on") {
  World world(slow_path());
  Conversation& old = world.converse(trickle(1000000, 100));
  world.run_until(at(seconds(1)));
  world.apply(fault(FaultKind::restart_server, seconds(2)));
  Conversation& unsent = world.converse(exchange(5000, 5000, seconds(2)));
  world.run_until(at(seconds(10)));
  CHECK(old.sides[0].ended_cause == Cause::server_restarted);
  CHECK(old.backend_connects == 1);
  CHECK(exact(unsent));
  world.finish();
}

TEST_CASE("a client that comes back after the server's own grace is told just that") {
  Options options = slow_path();
  options.grace = options.service_grace[0] = seconds(2);
  World world(options);
  Conversation& one = world.converse(trickle(1000000, 100));
  world.run_until(at(seconds(1)));
  // The client counts its grace from when it holds its carrier for lost, and that takes longer.
  world.apply(fault(FaultKind::cut_server_sees));
  world.apply(fault(FaultKind::outage, seconds(4)));
  world.run_until(at(seconds(10)));
  CHECK(one.sides[1].ended_cause == Cause::grace_expired);
  CHECK(one.sides[0].ended_cause == Cause::grace_expired);
  world.finish();
}

TEST_CASE("another server that answers has what is new, and the old waits for its own") {
  for (bool comes_back : {false, true}) {
    World world(slow_path());
    Conversation& old = world.converse(trickle(100000, 1000));
    Conversation& more = world.converse(trickle(100000, 1000));
    world.run_until(at(milliseconds(500)));
    world.server().rename("elsewhere");
    world.watch().harm_all(at(seconds(3600)));  // its own server does not answer
    world.apply(fault(FaultKind::restart_server, seconds(2)));
    Conversation& unsent = world.converse(exchange(5000, 5000, seconds(1)));
    Conversation& later = world.converse(exchange(5000, 5000, seconds(3)));
    world.run_until(at(seconds(6)));
    CHECK(exact(unsent));
    CHECK(exact(later));
    CHECK(old.sides[0].ended == 0);  // in its grace
    if (comes_back) {
      // It has forgotten the link, which is told at once now.
      world.server().rename("home");
      world.apply(fault(FaultKind::restart_server, milliseconds(100)));
      world.run_until(at(seconds(10)));
      CHECK(old.sides[0].ended_cause == Cause::server_restarted);
      CHECK(more.sides[0].ended_cause == Cause::server_restarted);
    } else {
      world.run_until(at(options_grace(world) + seconds(10)));
      CHECK(old.sides[0].ended_cause == Cause::grace_expired);
    }
    CHECK(old.backend_connects == 1);
    world.finish();
  }
}

TEST_CASE("another server that answers a link without streams is taken at once") {
  World world(slow_path());
  Conversation& old = world.converse(exchange(5000, 5000));
  world.run_until(at(seconds(2)));
  CHECK(exact(old));
  world.server().rename("elsewhere");
  world.apply(fault(FaultKind::restart_server, milliseconds(100)));
  Conversation& later = world.converse(exchange(5000, 5000, seconds(3)));
  world.run_until(at(seconds(5)));
  CHECK(exact(later));
  world.finish();
}

TEST_CASE("a restarted client ends its old link at once with client_restarted") {
  World world(slow_path());
  Conversation& old = world.converse(trickle(1000000, 100));
  world.run_until(at(seconds(1)));
  world.apply(fault(FaultKind::restart_client, milliseconds(200)));
  world.run_until(at(seconds(4)));
  CHECK(old.sides[1].ended_cause == Cause::client_restarted);
  CHECK(world.server().links() == 1);
  world.finish();
}

TEST_CASE("a cloned configuration gets duplicate_name and live connections live on") {
  World world(slow_path());
  Conversation& one = world.converse(trickle(100000, 200));
  world.run_until(at(seconds(1)));
  world.apply(fault(FaultKind::clone_client, seconds(3)));
  world.run_until(at(seconds(10)));
  CHECK(world.totals().refusals > 0);
  CHECK(client_counters(world).carriers_lost == 0);
  CHECK(exact(one));
  world.heal();
  world.finish();
}

TEST_CASE("an outage over the grace resets both applications with grace_expired") {
  Options options = slow_path();
  options.grace = options.service_grace[0] = options.service_grace[1] = seconds(3);
  World world(options);
  Conversation& one = world.converse(trickle(1000000, 100));
  world.run_until(at(seconds(1)));
  world.apply(fault(FaultKind::outage, seconds(5)));
  world.run_until(at(milliseconds(3900)));
  CHECK_FALSE(one.sides[0].got_reset);
  CHECK_FALSE(one.sides[1].got_reset);
  world.run_until(at(milliseconds(4200)));
  CHECK(one.sides[0].ended_cause == Cause::grace_expired);
  CHECK(one.sides[1].ended_cause == Cause::grace_expired);
  world.run_until(at(seconds(8)));
  world.finish();
}

TEST_CASE("a goodbye closes the server's streams at once") {
  World world(slow_path());
  Conversation& one = world.converse(trickle(1000000, 100));
  world.run_until(at(seconds(1)));
  world.apply(fault(FaultKind::goodbye_client));
  world.run_until(at(milliseconds(1200)));
  CHECK(one.sides[1].ended_cause == Cause::goodbye);
  CHECK(world.server().links() == 0);
}

TEST_CASE("a lost goodbye falls back to the grace") {
  Options options = slow_path();
  options.grace = options.service_grace[0] = options.service_grace[1] = seconds(5);
  options.dead_after = seconds(3);
  World world(options);
  Conversation& one = world.converse(trickle(1000000, 100));
  world.run_until(at(seconds(1)));
  world.apply(fault(FaultKind::goodbye_lost, seconds(20)));
  world.run_until(at(seconds(8)));
  CHECK_FALSE(one.sides[1].got_reset);
  world.run_until(at(seconds(10)));
  CHECK(one.sides[1].ended_cause == Cause::grace_expired);
  CHECK(world.server().links() == 0);
}

TEST_CASE(
    "traps 8, 12, 31: both ends replay a mebibyte at once through a cut and do not deadlock") {
  Options options = slow_path();
  options.path.delay = milliseconds(200);
  options.path.rate = 8 * 1024 * 1024;
  options.path.send_buffer = options.path.receive_buffer = 4 * 1024 * 1024;
  options.memory += 64 * 1024 * 1024;
  options.max_window = 8 * 1024 * 1024;
  World world(options);
  Conversation& one = world.converse(exchange(32 * 1024 * 1024, 32 * 1024 * 1024));
  world.run_until(at(milliseconds(9500)));
  REQUIRE(client_counters(world).replayed_bytes == 0);
  world.apply(fault(FaultKind::silence_for_good));
  world.run_until(at(seconds(30)));
  CHECK(exact(one));
  CHECK(client_counters(world).replayed_bytes >= 1024 * 1024);
  CHECK(server_counters(world).replayed_bytes >= 1024 * 1024);
  world.finish();
}

TEST_CASE("trap 3: windows grow with the round trip in both directions") {
  Options options = slow_path();
  options.path.delay = milliseconds(100);
  options.path.rate = 8 * 1024 * 1024;
  options.path.send_buffer = options.path.receive_buffer = 4 * 1024 * 1024;
  options.memory += 64 * 1024 * 1024;
  World world(options);
  Conversation& one = world.converse(exchange(16 * 1024 * 1024, 16 * 1024 * 1024));
  // 2 s at the path's rate; a window of 64 KiB would take 50 s.
  world.run_until(at(seconds(8)));
  CHECK(exact(one));
  world.finish();
}

TEST_CASE("trap 7: a stream that has received nothing yet is resumed, not opened anew") {
  World world(slow_path());
  ConversationScript script = exchange(100, 100);
  script.connect_delay = seconds(3);
  Conversation& one = world.converse(script);
  world.run_until(at(milliseconds(500)));
  world.apply(fault(FaultKind::cut));
  world.run_until(at(seconds(6)));
  CHECK(one.backend_connects == 1);
  CHECK(exact(one));
  world.finish();
}

TEST_CASE("traps 10, 11: frames of an old carrier that arrive after the takeover change nothing") {
  World world(slow_path());
  Conversation& one = world.converse(trickle(100000, 300));
  for (int i = 1; i <= 5; ++i) {
    world.run_until(at(milliseconds(400) * i));
    // Held for longer than the takeover takes, then released.
    world.apply(fault(FaultKind::silence, milliseconds(2500)));
  }
  world.run_until(at(seconds(12)));
  CHECK(client_counters(world).resumes >= 1);
  CHECK(exact(one));
  world.finish();
}

TEST_CASE("trap 13: replay adds nothing to the log and new data queues behind it") {
  World world(slow_path());
  Conversation& one = world.converse(exchange(3000000, 0));
  world.run_until(at(milliseconds(500)));
  std::uint64_t before = world.client(0).link().send_log_bytes();
  world.apply(fault(FaultKind::cut));
  std::uint64_t most = 0;
  for (int i = 0; i < 400; ++i) {
    world.run_until(world.now() + milliseconds(1));
    most = std::max(most, world.client(0).link().send_log_bytes());
  }
  CHECK(client_counters(world).replayed_bytes > 0);
  CHECK(most <= before + tuning::kMaxUnsent);
  world.run_until(at(seconds(10)));
  CHECK(exact(one));
  world.finish();
}

TEST_CASE("trap 15: carriers that fall during handshake or replay start it over") {
  World world(slow_path());
  // The first lives for a while; each of the next falls a little later in handshake and replay.
  std::vector<World::PlannedCut> cuts = {{true, 40000}};
  for (std::uint64_t i = 0; i < 24; ++i) cuts.push_back({i % 2 == 0, 1 + i * 20});
  world.plan_cuts(cuts);
  Conversation& one = world.converse(exchange(100000, 100000));
  world.run_until(at(seconds(18)));
  CHECK(world.totals().cuts >= 10);
  CHECK(exact(one));
  CHECK(one.backend_connects == 1);
  world.finish();
}

TEST_CASE("trap 15: a standby that fails does not kill a carrier that came back") {
  World world(slow_path());
  Conversation& one = world.converse(trickle(100000, 200));
  world.run_until(at(seconds(1)));
  world.apply(fault(FaultKind::refuse_dials, seconds(3)));
  world.apply(fault(FaultKind::silence, milliseconds(2500)));
  world.run_until(at(seconds(10)));
  CHECK(client_counters(world).carriers_lost == 0);
  CHECK(exact(one));
  world.finish();
}

TEST_CASE("trap 16: ids of links are random and differ between clients and processes") {
  Options options = Options::plain();
  options.clients = 2;
  World world(options);
  LinkId first = world.client(0).link().id();
  CHECK(first != world.client(1).link().id());
  world.apply(fault(FaultKind::restart_client, milliseconds(10)));
  world.run_until(at(seconds(1)));
  CHECK(first != world.client(0).link().id());
  world.finish();
}

TEST_CASE("trap 17: no replayed HELLO displaces a live carrier") {
  World world(slow_path());
  Conversation& one = world.converse(trickle(60000, 200));
  world.run_until(at(milliseconds(200)));
  world.apply(fault(FaultKind::cut));
  world.run_until(at(milliseconds(800)));
  std::uint64_t lost = client_counters(world).carriers_lost;
  for (int i = 0; i < 10; ++i) {
    world.apply(fault(FaultKind::replay_hello, seconds(1)));
    world.run_until(world.now() + milliseconds(100));
  }
  CHECK(world.totals().stale == 10);
  CHECK(client_counters(world).carriers_lost == lost);
  world.run_until(at(seconds(10)));
  CHECK(exact(one));
  world.finish();
}

TEST_CASE("trap 18: an unknown link is refused finally and no backend is opened mid-stream") {
  World world(slow_path());
  Conversation& one = world.converse(trickle(1000000, 200));
  world.run_until(at(seconds(1)));
  world.apply(fault(FaultKind::restart_server, milliseconds(100)));
  world.run_until(at(seconds(4)));
  CHECK(world.totals().unknown == 1);
  CHECK(one.backend_connects == 1);
  CHECK(one.sides[0].got_reset);
  CHECK(world.client(0).link().live());
  world.finish();
}

TEST_CASE("trap 18: a link that an old HELLO made anew at a restarted server is not resumed") {
  World world(slow_path());
  Conversation& one = world.converse(trickle(1000000, 200));
  world.run_until(at(seconds(1)));
  world.apply(fault(FaultKind::reconnect));  // so that there is an old HELLO to play back
  world.run_until(at(seconds(2)));
  world.apply(fault(FaultKind::refuse_dials, seconds(2)));
  world.apply(fault(FaultKind::restart_server, milliseconds(100)));
  world.run_until(at(milliseconds(2500)));
  // One of those played back is the first, whose instance is 0.
  for (int i = 0; i < 8; ++i) world.apply(fault(FaultKind::replay_hello, seconds(1)));
  world.run_until(at(milliseconds(2600)));
  CHECK(world.server().links() == 1);
  world.run_until(at(seconds(6)));
  CHECK(one.backend_connects == 1);
  CHECK(one.sides[0].ended_cause == Cause::server_restarted);
  CHECK(world.totals().unknown >= 1);
}

TEST_CASE("trap 20: the tail of a backend that closes during the outage arrives") {
  World world(slow_path());
  Conversation& one = world.converse(exchange(100, 30000, milliseconds(100)));
  one.sides[1].script.gap = milliseconds(400);  // the last piece is written during the outage
  world.run_until(at(milliseconds(300)));
  world.apply(fault(FaultKind::outage, seconds(4)));
  world.run_until(at(milliseconds(4000)));
  CHECK(one.sides[1].finish_told);
  CHECK_FALSE(one.sides[0].got_fin);
  world.run_until(at(seconds(8)));
  CHECK(exact(one));
  world.finish();
}

TEST_CASE("trap 23: grace expiry against a reconnect in progress has one winner") {
  int lived = 0;
  int expired = 0;
  for (int offset_ms = -500; offset_ms <= 300; offset_ms += 10) {
    Options options = slow_path();
    options.grace = options.service_grace[0] = options.service_grace[1] = seconds(3);
    World world(options);
    Conversation& one = world.converse(trickle(60000, 100));
    world.run_until(at(seconds(1)));
    world.apply(fault(FaultKind::outage, seconds(3) + milliseconds(offset_ms)));
    world.run_until(at(seconds(20)));
    (exact(one) ? lived : expired) += 1;
    CHECK(exact(one) == !one.sides[0].got_reset);
    CHECK(exact(one) == !one.sides[1].got_reset);
    world.finish();
  }
  CHECK(lived > 0);
  CHECK(expired > 0);
}

TEST_CASE("200 readers that stall leave another stream's bytes going") {
  Options options = slow_path();
  World world(options);
  for (int i = 0; i < 200; ++i) {
    ConversationScript flood = exchange(0, 200000);
    flood.sides[0].stall = seconds(60);
    flood.sides[0].receive_buffer = 4096;
    world.converse(flood);
  }
  world.run_until(at(seconds(12)));
  Conversation& alive = world.converse(trickle(20000, 100, seconds(12)));
  // 200 pieces, 10 ms apart; then the path's round trips.
  world.run_until(at(milliseconds(14300)));
  CHECK(exact(alive));
  world.heal();
  world.finish();
}

TEST_CASE("a late turn of both processes does not kill a carrier") {
  Options options = slow_path();
  options.dead_after = seconds(3);
  World world(options);
  Conversation& one = world.converse(trickle(100000, 200));
  world.run_until(at(seconds(1)));
  world.apply(fault(FaultKind::late_turn_client, seconds(8)));
  world.apply(fault(FaultKind::late_turn_server, seconds(8)));
  world.run_until(at(seconds(20)));
  CHECK(client_counters(world).carriers_lost == 0);
  CHECK(server_counters(world).carriers_lost == 0);
  CHECK(exact(one));
  world.finish();
}

TEST_CASE(
    "an OPEN that reaches the server after its client was killed and restarted harms nobody") {
  Options options = slow_path();
  options.path.delay = milliseconds(300);
  World world(options);
  ConversationScript script = exchange(1000, 1000, seconds(2));
  script.sides[0].end = End::hold;
  Conversation& one = world.converse(script);
  world.run_until(at(milliseconds(2050)));
  REQUIRE(one.opened);
  REQUIRE(one.backend_connects == 0);
  world.apply(fault(FaultKind::restart_client, milliseconds(10)));
  world.run_until(at(seconds(4)));
  CHECK(one.backend_connects == 1);
  CHECK(one.sides[1].got_reset);
  world.heal();
  world.finish();
}

// Each agent waits for room in its log to read the rest of what its application wrote before its
// reset; there is none unless what came for that application counts as delivered.
TEST_CASE("two applications that reset each other over full logs both end") {
  Options options = slow_path();
  options.max_streams = 2;
  options.memory = 2 * MemoryPool::kStreamFloor * options.max_streams;
  World world(options);
  ConversationScript script = exchange(100000, 100000);
  for (SideScript& side : script.sides) {
    side.end = End::reset;
    side.reset_at = 30000;
    side.stall = seconds(3);
    side.receive_buffer = 1;
  }
  Conversation& one = world.converse(script);
  world.run_until(at(seconds(15)));
  CHECK_FALSE(one.is_open());
  CHECK(one.sides[0].ended == 1);
  CHECK(one.sides[1].ended == 1);
  world.heal();
  world.finish();
}

// The question falls together with a long answer: its own waits behind that for most of a second.
TEST_CASE("an answer of some seconds on an idle link over a slow path costs no carrier") {
  for (int start_ms = 1500; start_ms < 2600; start_ms += 10) {
    Options options = Options::plain();
    options.path.delay = milliseconds(3);
    options.path.rate = 13750;
    options.path.receive_buffer = 16384;
    World world(options);
    Conversation& one = world.converse(exchange(1, 40000, milliseconds(start_ms)));
    world.run_until(at(seconds(8)));
    CAPTURE(start_ms);
    CHECK(exact(one));
    CHECK(client_counters(world).carriers_lost == 0);
    CHECK(server_counters(world).carriers_lost == 0);
  }
}

}  // namespace holdfast::sim
