#include "common/core/progress.h"

#include "common/core/liveness.h"
#include "tests/catch.h"
#include "tests/unit/core/scripted_peer.h"

namespace holdfast {

using namespace test;

namespace {

constexpr Duration kPatience = milliseconds(500);

// A question that lies behind 10,000 bytes.
Progress behind_bulk(PathReport& path) {
  Progress progress;
  progress.asked();
  progress.handed();
  path.acked = 5000;
  path.queued = 10000;
  CHECK(progress.wants_report());
  CHECK_FALSE(progress.report(path, kPatience));  // nothing to compare with
  CHECK_FALSE(progress.wants_report());
  return progress;
}

}  // namespace

TEST_CASE("acks count as progress until the question is acked, then no more") {
  PathReport path;
  Progress progress = behind_bulk(path);
  CHECK_FALSE(progress.report(path, kPatience));
  path.acked = 14000;
  CHECK(progress.report(path, kPatience));
  CHECK_FALSE(progress.report(path, kPatience));
  path.acked = 15000;  // all that lay before it
  path.queued = 90000;
  CHECK(progress.report(path, kPatience));
  path.acked = 30000;
  CHECK_FALSE(progress.report(path, kPatience));
}

TEST_CASE("packets that arrived count while acked bytes stand still") {
  PathReport path;
  Progress progress = behind_bulk(path);
  path.arrived += 1;
  CHECK(progress.report(path, kPatience));
}

TEST_CASE("before the question was handed over every ack counts") {
  Progress progress;
  progress.asked();
  PathReport path;
  path.queued = 100000;
  CHECK_FALSE(progress.report(path, kPatience));
  for (path.acked = 1000; path.acked < 50000; path.acked += 1000) {
    CHECK(progress.report(path, kPatience));
  }
  CHECK_FALSE(progress.wants_report());
  progress.handed();
  CHECK(progress.wants_report());
}

TEST_CASE("the time that a link was idle before the question is no gap, what follows it is") {
  for (Duration until_first : {milliseconds(400), milliseconds(600)}) {
    Progress progress;
    progress.asked();
    progress.handed();
    PathReport path;
    path.acked = 5000;
    path.queued = 20;
    path.received = 700;
    path.received_ago = seconds(1);
    CHECK_FALSE(progress.report(path, kPatience));
    path.received_ago += until_first;
    CHECK_FALSE(progress.report(path, kPatience));
    // The answer waits behind a slow path's bulk, and so does every ack.
    for (int i = 0; i < 10; ++i) {
      path.received += 1448;
      path.received_ago = milliseconds(5);
      CHECK(progress.report(path, kPatience) == (until_first < kPatience));
    }
    path.received_ago = milliseconds(501);
    CHECK_FALSE(progress.report(path, kPatience));
    path.received += 1448;
    path.received_ago = Duration{};
    CHECK_FALSE(progress.report(path, kPatience));
  }
}

TEST_CASE("the peer's bytes count without a gap, after one they do not") {
  PathReport path;
  Progress progress = behind_bulk(path);
  path.received += 1;
  CHECK(progress.report(path, kPatience));
  path.received_ago = milliseconds(499);
  CHECK_FALSE(progress.report(path, kPatience));
  path.received += 1;
  CHECK(progress.report(path, kPatience));
  path.received_ago = milliseconds(501);
  CHECK_FALSE(progress.report(path, kPatience));
  path.received += 1;
  path.received_ago = Duration{};
  CHECK_FALSE(progress.report(path, kPatience));
  path.acked += 1;  // ours do
  CHECK(progress.report(path, kPatience));
  progress.asked();
  CHECK_FALSE(progress.report(path, kPatience));
  path.received += 1;
  CHECK(progress.report(path, kPatience));
}

TEST_CASE("the peer's bytes do not count while ours are sent again in vain") {
  PathReport path;
  Progress progress = behind_bulk(path);
  path.received += 1;
  path.timeouts = 2;
  CHECK(progress.report(path, kPatience));
  path.received += 1;
  path.timeouts = 3;
  CHECK_FALSE(progress.report(path, kPatience));
  path.arrived += 1;  // ours do
  CHECK(progress.report(path, kPatience));
}

TEST_CASE("only a path with a backlog is slow, and for four seconds at most") {
  struct Row {
    std::uint64_t queued;
    Duration ack_time, slow;
  };
  const Row rows[] = {{100, seconds(3), Duration{}},
                      {100000, seconds(3), seconds(3)},
                      {100000, seconds(30), seconds(4)}};
  for (const Row& row : rows) {
    Progress progress;
    progress.asked();
    PathReport path;
    path.queued = row.queued;
    path.ack_time = row.ack_time;
    CHECK_FALSE(progress.report(path, kPatience));
    CHECK(progress.slow() == row.slow);
  }
}

namespace {

Time at_ms(std::int64_t ms) {
  return Time(milliseconds(ms));
}

// Asked at 1500 ms about a write of 1000 ms.
Liveness asked_about_bulk(PathReport& path) {
  Liveness liveness;
  liveness.start(at_ms(1000), seconds(1), seconds(15), milliseconds(20));
  liveness.wrote(at_ms(1000));
  CHECK(liveness.timeout(at_ms(1500)) == Liveness::Action::ping);
  liveness.ping(at_ms(1500));
  path.queued = 100000;
  liveness.report(at_ms(1500), path);
  return liveness;
}

// Every 100 ms a report, `acked` bytes further on; when it becomes suspect or dead.
Time runs_until(Liveness& liveness, PathReport& path, std::uint64_t acked,
                Liveness::Action wanted) {
  for (int ms = 1600; ms < 100000; ms += 100) {
    path.acked += acked;
    path.queued -= std::min(path.queued, acked);
    liveness.report(at_ms(ms), path);
    if (liveness.timeout(at_ms(ms)) == wanted) return at_ms(ms);
  }
  return kNever;
}

}  // namespace

TEST_CASE("a slow path is neither suspect nor dead while the question moves along it") {
  PathReport path;
  Liveness liveness = asked_about_bulk(path);
  // 50 s for 100,000 bytes; then the PONG is due.
  Time suspect = runs_until(liveness, path, 200, Liveness::Action::suspect);
  CHECK(suspect >= at_ms(1500 + 50000 + 500));
  CHECK(suspect <= at_ms(1500 + 50000 + 700));
}

TEST_CASE("a path on which nothing moves is suspect as soon as ever") {
  PathReport path;
  Liveness liveness = asked_about_bulk(path);
  CHECK(runs_until(liveness, path, 0, Liveness::Action::suspect) == at_ms(2000));
}

TEST_CASE("while a question stands reports are asked for every 100 ms, once there are any") {
  PathReport path;
  Liveness liveness = asked_about_bulk(path);
  CHECK(liveness.next_timeout() == at_ms(1600));
  CHECK(liveness.timeout(at_ms(1600)) == Liveness::Action::none);
  CHECK(liveness.next_timeout() == at_ms(1700));
  liveness.answered();
  CHECK_FALSE(liveness.questioned());
}

TEST_CASE("a silence after progress begins with it") {
  PathReport path;
  Liveness liveness = asked_about_bulk(path);
  Time first = runs_until(liveness, path, 0, Liveness::Action::suspect);
  REQUIRE(first != kNever);
  CHECK(liveness.silent_since() == at_ms(1000));
  Time moved = first + milliseconds(200);
  path.acked += 1000;
  liveness.report(moved, path);
  CHECK_FALSE(liveness.suspect());
  for (int i = 0; i < 100 && !liveness.suspect(); ++i) liveness.timeout(liveness.next_timeout());
  CHECK(liveness.silent_since() == moved);
}

TEST_CASE("progress takes suspicion back, and the standby with it") {
  ScriptedPeer peer(LinkOptions::Role::client);
  PathReport path;
  path.queued = 100000;
  peer.open();
  for (int i = 0; i < 40 && !peer.link().wants_carrier(); ++i) peer.advance(milliseconds(100));
  REQUIRE(peer.link().wants_carrier());
  CarrierId old = peer.carrier();
  peer.link().path_report(peer.now(), old, path);
  peer.link().carrier_up(peer.now(), CarrierId{77}, Duration{});
  peer.end.drain();
  path.acked = 1000;
  peer.link().path_report(peer.now(), CarrierId{76}, path);  // of another
  CHECK(peer.link().liveness().suspect());
  peer.link().path_report(peer.now(), old, path);
  peer.end.drain();
  CHECK_FALSE(peer.link().wants_carrier());
  REQUIRE(peer.end.closed.size() == 1);
  CHECK(peer.end.closed[0].carrier == CarrierId{77});
  CHECK(peer.link().carrier() == old);
}

TEST_CASE("a question and its answer leave in a gather of their own, ahead of bulk") {
  for (bool question : {false, true}) {
    ScriptedPeer peer(LinkOptions::Role::server);
    auto id = peer.open();
    peer.transmit();
    peer.end.write(id, std::string(60000, 'x'));
    if (question) {
      peer.link().doubt(peer.now());
      peer.link().timeout(peer.now());
    } else {
      peer.receive(ping_frame(42));
    }
    auto gather = peer.link().poll_transmit(peer.now(), tuning::kMaxGather);
    REQUIRE(gather);
    CHECK(gather->bytes < 100);
    peer.link().written(peer.now(), gather->bytes);
    auto rest = peer.transmit();
    CHECK(!rest.empty());
  }
}

TEST_CASE("a greeting that moves is neither raced by another dial nor given up") {
  enum class What { nothing, ours, the_peers };
  for (What what : {What::nothing, What::ours, What::the_peers}) {
    bool moves = what != What::nothing;
    ScriptedPeer peer(LinkOptions::Role::client);
    peer.lose_carrier();
    CarrierId slow{55};
    peer.link().carrier_up(peer.now(), slow, milliseconds(20));
    peer.transmit();
    PathReport path;
    path.queued = 1'000'000;
    path.received_ago = seconds(40);  // nothing came while our table was on its way
    peer.link().path_report(peer.now(), slow, path);
    bool raced = false;
    for (int i = 0; i < 300; ++i) {
      peer.pass(milliseconds(100));
      if (what == What::ours) path.acked += 1000;
      if (what == What::the_peers) path.received += 1000;
      peer.link().path_report(peer.now(), slow, path);
      if (peer.link().next_timeout() <= peer.now()) peer.link().timeout(peer.now());
      peer.end.drain();
      raced = raced || peer.link().wants_carrier();
    }
    INFO(moves);
    CHECK(raced == !moves);
    CHECK((peer.link().carrier() == slow) == moves);
  }
}

}  // namespace holdfast
