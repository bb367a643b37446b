// Worlds whose carriers are encrypted: what TLS between the link and the path must not change.
#include <cstdio>
#include <cstdlib>

#include "tests/catch.h"
#include "tests/sim/runner.h"

namespace holdfast::sim {
namespace {

struct Told {
  bool passed = false;
  std::string totals;
  std::string trace;
};

Told run_seed(std::uint64_t seed) {
  Options options = Options::draw(seed);
  options.encrypt();
  options.trace = true;
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* trace = open_memstream(&text, &size);
  REQUIRE(trace != nullptr);
  Totals totals;
  Told told;
  RunOutcome outcome = run_world(options, totals, trace);
  std::fclose(trace);
  told.passed = outcome.passed;
  told.totals = totals.describe();
  told.trace.assign(text, size);
  std::free(text);
  return told;
}

Options encrypted() {
  Options options = Options::plain();
  options.tls = true;
  return options;
}

ConversationScript exchange(std::uint64_t bytes) {
  ConversationScript script;
  for (SideScript& side : script.sides) {
    side.total = bytes;
    side.chunk = side.read_chunk = side.receive_buffer = 65536;
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

Fault fault(FaultKind kind, Duration length = {}) {
  return {{}, kind, 0, length, 0};
}

}  // namespace

TEST_CASE("an encrypted seed gives the same trace and totals twice, though its keys differ") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Told first = run_seed(seed);
    Told second = run_seed(seed);
    INFO("seed " << seed);
    CHECK(first.passed);
    CHECK(first.trace.size() > 100);
    CHECK(first.trace == second.trace);
    CHECK(first.totals == second.totals);
  }
}

// With ML-KEM (OpenSSL 3.5) a hello is larger than such a packet.
TEST_CASE("a path that swallows large packets from the start carries an encrypted link") {
  for (Duration delay : {milliseconds(20), milliseconds(300)}) {
    Options options = encrypted();
    options.path.delay = delay;
    World world(options);
    Path::Shape shape = world.path(0).shape();
    shape.largest = 900;
    world.path(0).reshape(shape);
    world.watch().harm(0, Time(seconds(3600)));  // no path that carries all
    Conversation& bulk = world.converse(exchange(100'000));
    world.run_until(Time(seconds(delay > milliseconds(100) ? 30 : 8)));
    INFO("one way in " << duration_cast<milliseconds>(delay).count() << " ms");
    CHECK(exact(bulk));
    world.finish();
  }
}

TEST_CASE("records that come in pieces leave nothing waiting in the transport") {
  Options options = encrypted();
  options.path.receive_buffer = 300;  // most records are larger
  World world(options);
  Conversation& one = world.converse(exchange(20000));
  world.run_until(Time(seconds(2)));
  CHECK(exact(one));
  CHECK(world.totals().carriers == 1);
  world.finish();
}

TEST_CASE("a path that takes a byte at a time carries a handshake and an exchange") {
  Options options = encrypted();
  options.path.send_buffer = options.path.receive_buffer = 1;
  options.path.delay = {};
  World world(options);
  Conversation& one = world.converse(exchange(3000));
  world.run_until(Time(seconds(2)));
  CHECK(exact(one));
  world.finish();
}

TEST_CASE("all that a client once said, played back, proves nobody and disturbs nobody") {
  Options options = encrypted();
  options.path.delay = milliseconds(5);
  World world(options);
  ConversationScript script = exchange(60000);
  for (SideScript& side : script.sides) {
    side.chunk = 200;
    side.gap = milliseconds(10);
  }
  Conversation& one = world.converse(script);
  world.run_until(Time(milliseconds(500)));
  world.apply(fault(FaultKind::cut));
  world.run_until(Time(milliseconds(1200)));
  std::uint64_t rejected = world.totals().rejected;
  std::uint64_t carriers = world.client(0).link().counters().carriers_lost;
  for (int i = 0; i < 10; ++i) {
    world.apply(fault(FaultKind::replay_hello));
    world.run_until(world.now() + milliseconds(100));
  }
  CHECK(world.client(0).link().counters().carriers_lost == carriers);
  world.run_until(Time(seconds(10)));
  CHECK(world.totals().rejected == rejected + 10);
  CHECK(world.totals().stale == 0);
  CHECK(exact(one));
  world.finish();
}

TEST_CASE("a carrier cut at any byte of its handshake is dialled anew") {
  for (bool to_server : {false, true}) {
    for (std::uint64_t offset = 0; offset < 300; offset += 11) {
      World world(encrypted());
      world.plan_cuts({{to_server, offset}});
      Conversation& one = world.converse(exchange(500));
      world.run_until(Time(seconds(4)));
      INFO((to_server ? "to the server, " : "to the client, ") << offset);
      CHECK(exact(one));
      CHECK(world.totals().cuts == 1);
      CHECK(world.totals().dials >= 2);
    }
  }
}

}  // namespace holdfast::sim
