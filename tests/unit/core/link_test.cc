// What two links do together: bytes, ends, outages, ends of links.
#include "common/core/link.h"

#include "tests/catch.h"
#include "tests/unit/core/scripted_peer.h"

namespace holdfast {

using namespace test;

namespace {

std::string pattern(std::size_t size, unsigned seed = 1) {
  Random random(seed);
  std::string text(size, '\0');
  for (char& c : text) c = static_cast<char>(random.next());
  return text;
}

// Nothing is left of any stream: no block, no share, no record.
void check_nothing_left(LinkPair& pair) {
  CHECK(pair.client.link->stream_count() == 0);
  CHECK(pair.client.pool.arena.in_use() == 0);
  CHECK(pair.client.pool.send.used() == 0);
  CHECK(pair.client.pool.receive.used() == 0);
  CHECK(pair.client.pool.streams() == 0);
  CHECK(pair.server.pool.arena.in_use() == 0);
  CHECK(pair.server.pool.send.used() == 0);
  CHECK(pair.server.pool.receive.used() == 0);
  CHECK(pair.server.pool.streams() == 0);
}

}  // namespace

TEST_CASE("bytes and both ends travel through a link and nothing is left of them") {
  LinkPair pair;
  auto id = pair.open();
  pair.client.write(id, "question");
  pair.client.finish(id);
  pair.run_for(milliseconds(100));
  CHECK(pair.server.app(id).received == "question");
  CHECK(pair.server.app(id).fin_seen);
  pair.server.write(id, "answer");
  pair.server.finish(id);
  pair.run_for(milliseconds(100));
  CHECK(pair.client.app(id).received == "answer");
  CHECK(pair.client.app(id).fin_seen);
  REQUIRE(pair.client.app(id).ended);
  REQUIRE(pair.server.app(id).ended);
  CHECK(pair.client.app(id).ended->cause == Cause::client_fin);
  CHECK(pair.server.app(id).ended->cause == Cause::client_fin);
  CHECK_FALSE(pair.client.app(id).reset);
  check_nothing_left(pair);
}

TEST_CASE("eight mebibytes each way at once arrive exactly through cuts, and bytes are resent") {
  LinkPair::Options options;
  options.one_way = milliseconds(5);
  LinkPair pair(options);
  auto id = pair.open();
  std::string up = pattern(8 * kMiB, 1);
  std::string down = pattern(8 * kMiB, 2);
  pair.run_for(milliseconds(50));
  pair.client.write(id, up);
  pair.server.write(id, down);
  for (int i = 0; i < 10; ++i) {
    pair.run_for(milliseconds(33));
    pair.cut_with_bytes_in_flight();
  }
  pair.client.finish(id);
  pair.server.finish(id);
  pair.run_for(seconds(60));
  CHECK(pair.server.app(id).received == up);
  CHECK(pair.client.app(id).received == down);
  CHECK(pair.client.app(id).ended);
  CHECK(pair.client.link->counters().resumes == 10);
  CHECK(pair.client.link->counters().replayed_bytes > 0);
  CHECK(pair.server.link->counters().replayed_bytes > 0);
  check_nothing_left(pair);
}

TEST_CASE("a half close stays a half close through a cut") {
  LinkPair pair;
  auto id = pair.open();
  pair.client.write(id, "all");
  pair.client.finish(id);
  pair.cut_with_bytes_in_flight();
  pair.run_for(seconds(1));
  CHECK(pair.server.app(id).fin_seen);
  pair.cut();
  pair.server.write(id, pattern(1 * kMiB));
  pair.run_for(seconds(1));
  pair.server.finish(id);
  pair.run_for(seconds(1));
  CHECK(pair.client.app(id).received == pattern(1 * kMiB));
  CHECK(pair.client.app(id).fin_seen);
  check_nothing_left(pair);
}

TEST_CASE("an application's reset arrives after its bytes, through a cut") {
  for (bool by_client : {true, false}) {
    INFO((by_client ? "client" : "server"));
    LinkPair pair;
    auto id = pair.open();
    pair.run_for(milliseconds(10));
    End& from = by_client ? pair.client : pair.server;
    End& to = by_client ? pair.server : pair.client;
    from.write(id, "last words");
    from.abort(id);
    pair.cut_with_bytes_in_flight();
    pair.run_for(seconds(1));
    CHECK(to.app(id).received == "last words");
    CHECK(to.app(id).abort_seen);
    CHECK_FALSE(to.app(id).fin_seen);
    REQUIRE(from.app(id).ended);
    REQUIRE(to.app(id).ended);
    Cause expected = by_client ? Cause::client_rst : Cause::target_rst;
    CHECK(from.app(id).ended->cause == expected);
    CHECK(to.app(id).ended->cause == expected);
    check_nothing_left(pair);
  }
}

TEST_CASE("both applications reset at once and nobody waits for the other's credit") {
  LinkPair pair;
  auto id = pair.open();
  pair.run_for(milliseconds(10));
  pair.client.appetite = pair.server.appetite = 0;
  pair.client.app(id).appetite = pair.server.app(id).appetite = 0;
  pair.client.write(id, pattern(1 * kMiB));
  pair.server.write(id, pattern(1 * kMiB));
  pair.run_for(milliseconds(50));
  pair.client.abort(id);
  pair.server.abort(id);
  pair.run_for(milliseconds(200));
  CHECK(pair.client.app(id).ended);
  CHECK(pair.server.app(id).ended);
  check_nothing_left(pair);
}

TEST_CASE("a reset by an agent is immediate and drops its bytes") {
  LinkPair pair;
  auto id = pair.open();
  pair.run_for(milliseconds(10));
  pair.server.app(id).appetite = 0;
  pair.client.write(id, pattern(300000));
  pair.run_for(milliseconds(50));
  pair.client.reset(id, Cause::admin_kill);
  pair.run_for(milliseconds(50));
  CHECK(pair.client.app(id).reset == Cause::admin_kill);
  CHECK(pair.server.app(id).reset == Cause::admin_kill);
  CHECK(pair.server.app(id).ended->cause == Cause::admin_kill);
  check_nothing_left(pair);
}

TEST_CASE("the backend closes during the outage and its tail arrives") {
  LinkPair pair;
  auto id = pair.open();
  pair.run_for(milliseconds(10));
  pair.reachable = false;
  pair.cut();
  pair.server.write(id, "tail");
  pair.server.finish(id);
  pair.run_for(seconds(5));
  pair.reachable = true;
  pair.run_for(seconds(1));
  CHECK(pair.client.app(id).received == "tail");
  CHECK(pair.client.app(id).fin_seen);
  pair.client.finish(id);
  pair.run_for(milliseconds(100));
  check_nothing_left(pair);
}

TEST_CASE("applications that come while the link is down are queued and then served") {
  LinkPair pair;
  pair.reachable = false;
  auto first = pair.open();
  auto second = pair.open(1);
  pair.client.write(first, "early");
  pair.run_for(seconds(3));
  CHECK(pair.server.link == nullptr);
  pair.reachable = true;
  pair.run_for(milliseconds(100));
  CHECK(pair.server.app(first).received == "early");
  CHECK(pair.client.app(second).opened);
}

TEST_CASE("an application that nobody can be asked for waits at most open_timeout") {
  LinkPair pair;
  pair.reachable = false;
  auto id = pair.open();
  pair.run_for(milliseconds(29900));
  CHECK_FALSE(pair.client.app(id).reset);
  pair.run_for(milliseconds(200));
  CHECK(pair.client.app(id).reset == Cause::open_timeout);
  CHECK(pair.client.app(id).ended);
  CHECK(pair.client.link->stream_count() == 0);
}

TEST_CASE("a stream that is served does not end at open_timeout") {
  LinkPair pair;
  auto id = pair.open();
  pair.run_for(seconds(1));
  pair.reachable = false;
  pair.cut();
  pair.run_for(seconds(60));
  CHECK_FALSE(pair.client.app(id).reset);
}

TEST_CASE("the grace ends a link on both sides and each application is reset with the cause") {
  LinkPair pair;
  auto id = pair.open();
  pair.run_for(seconds(1));
  pair.reachable = false;
  pair.cut();
  pair.run_for(milliseconds(299900));
  CHECK_FALSE(pair.client.app(id).reset);
  CHECK_FALSE(pair.server.app(id).reset);
  pair.run_for(milliseconds(200));
  CHECK(pair.client.app(id).reset == Cause::grace_expired);
  CHECK(pair.server.app(id).reset == Cause::grace_expired);
  CHECK(pair.client.ended == Cause::grace_expired);
  CHECK(pair.server.ended == Cause::grace_expired);
}

TEST_CASE("the grace runs from the loss of the carrier and starts anew with each") {
  LinkPair pair;
  auto id = pair.open();
  pair.run_for(seconds(1000));
  for (int i = 0; i < 3; ++i) {
    pair.reachable = false;
    pair.cut();
    pair.run_for(seconds(290));
    pair.reachable = true;
    pair.run_for(seconds(20));
  }
  CHECK_FALSE(pair.client.app(id).reset);
  CHECK(pair.client.link->counters().resumes == 3);
}

TEST_CASE("a service with a shorter grace ends its streams and leaves the others") {
  LinkPair pair;
  auto lasting = pair.open(0);
  auto brief = pair.open(1);
  pair.run_for(seconds(1));
  pair.reachable = false;
  pair.cut();
  pair.run_for(milliseconds(9900));
  CHECK_FALSE(pair.client.app(brief).reset);
  pair.run_for(milliseconds(200));
  CHECK(pair.client.app(brief).reset == Cause::grace_expired);
  CHECK(pair.server.app(brief).reset == Cause::grace_expired);
  CHECK_FALSE(pair.client.app(lasting).reset);
  // Rule 11: nothing is freed while there is no carrier.
  CHECK(pair.client.link->stream_count() == 2);
  pair.reachable = true;
  pair.run_for(milliseconds(500));
  CHECK(pair.client.link->stream_count() == 1);
  CHECK(pair.server.link->stream_count() == 1);
  pair.client.write(lasting, "alive");
  pair.run_for(milliseconds(100));
  CHECK(pair.server.app(lasting).received == "alive");
}

TEST_CASE("a link whose streams all have a short grace ends with it") {
  LinkPair pair;
  auto brief = pair.open(1);
  pair.run_for(seconds(1));
  pair.reachable = false;
  pair.cut();
  pair.run_for(milliseconds(10100));
  CHECK(pair.client.app(brief).reset == Cause::grace_expired);
  CHECK(pair.client.ended == Cause::grace_expired);
}

TEST_CASE("a silent path is noticed, and a redialled carrier carries the bytes on") {
  struct Row {
    const char* name;
    bool to_server, to_client;
  };
  for (const Row& row : {Row{"both ways", true, true}, Row{"towards the server", true, false},
                         Row{"towards the client", false, true}}) {
    INFO(row.name);
    LinkPair pair;
    auto id = pair.open();
    pair.run_for(seconds(1));
    pair.silent_to_server = row.to_server;
    pair.silent_to_client = row.to_client;
    pair.client.write(id, "into the void");
    pair.server.write(id, "into the void too");
    pair.run_for(seconds(2));
    CHECK(pair.client.link->wants_carrier());
    pair.silent_to_server = pair.silent_to_client = false;
    pair.run_for(milliseconds(100));
    CHECK(pair.server.app(id).received == "into the void");
    CHECK(pair.client.app(id).received == "into the void too");
  }
}

TEST_CASE("a standby takes over after 20 ms, unless the old carrier answers meanwhile") {
  for (bool answers : {false, true}) {
    ScriptedPeer peer(LinkOptions::Role::client);
    CarrierId old = peer.carrier();
    peer.open();
    std::uint64_t question = 0;
    for (int i = 0; i < 40 && !peer.link().wants_carrier(); ++i) {
      for (const SentFrame& frame : peer.advance(milliseconds(100))) {
        if (frame.type == FrameType::ping) question = frame.id;
      }
    }
    REQUIRE(peer.link().wants_carrier());
    peer.link().carrier_up(peer.now(), CarrierId{77}, Duration{});
    peer.end.drain();
    CHECK_FALSE(peer.link().wants_carrier());
    peer.advance(milliseconds(20) - Duration(1));
    CHECK(peer.link().live());
    CHECK(peer.link().carrier() == old);
    CHECK(peer.end.closed.empty());
    if (answers) peer.receive(pong_frame(question));
    peer.advance(Duration(1));
    REQUIRE(peer.end.closed.size() == 1);
    CHECK(peer.end.closed[0].cause == (answers ? Cause::carrier_replaced : Cause::carrier_silent));
    CHECK(peer.end.closed[0].carrier == (answers ? CarrierId{77} : old));
    CHECK(peer.link().carrier() == (answers ? old : CarrierId{77}));
    CHECK(peer.link().live() == answers);
  }
}

TEST_CASE("without a standby a silent carrier is dropped after dead_after") {
  LinkPair::Options options;
  options.heartbeat = milliseconds(200);
  options.dead_after = seconds(1);
  LinkPair pair(options);
  pair.open();
  pair.run_for(seconds(1));
  pair.reachable = false;
  pair.silent_to_server = pair.silent_to_client = true;
  pair.run_for(milliseconds(1500));
  CHECK(pair.client.link->counters().carriers_lost == 1);
  CHECK(pair.server.link->counters().carriers_lost == 1);
  CHECK(pair.client.link->detached());
  CHECK(pair.server.link->detached());
  CHECK(pair.client.downs.back() == Cause::carrier_silent);
}

TEST_CASE("an idle link stays on its carrier for an hour") {
  LinkPair pair;
  pair.open();
  pair.run_for(seconds(3600));
  CHECK(pair.dials == 1);
  CHECK(pair.client.link->live());
  CHECK(pair.client.downs.empty());
}

TEST_CASE("a server that still believes in the old carrier gives way to the new one") {
  LinkPair pair;
  auto id = pair.open();
  pair.run_for(seconds(1));
  pair.client.write(id, "a");
  pair.cut_unseen_by_server();
  pair.client.write(id, "b");
  pair.run_for(milliseconds(100));
  CHECK(pair.server.app(id).received == "ab");
  REQUIRE(pair.server.closed.size() == 1);
  CHECK(pair.server.closed[0].cause == Cause::carrier_replaced);
}

TEST_CASE("goodbye ends the link at once on both sides and resets what is still open") {
  LinkPair pair;
  auto open_one = pair.open();
  auto closed_one = pair.open();
  pair.run_for(seconds(1));
  pair.client.write(closed_one, "flushed before goodbye");
  pair.client.finish(closed_one);
  pair.client.link->goodbye(pair.now(), Cause::shutdown);
  pair.run_for(milliseconds(100));
  CHECK(pair.server.app(closed_one).received == "flushed before goodbye");
  CHECK(pair.server.app(closed_one).fin_seen);
  CHECK(pair.client.app(open_one).reset == Cause::shutdown);
  CHECK(pair.server.app(open_one).reset == Cause::shutdown);
  CHECK(pair.client.ended == Cause::shutdown);
  CHECK(pair.server.ended == Cause::shutdown);
  check_nothing_left(pair);
}

TEST_CASE("goodbye waits at most a second for what has not been taken") {
  LinkPair pair;
  auto id = pair.open();
  pair.run_for(seconds(1));
  pair.server.app(id).appetite = 0;
  pair.client.write(id, "never read");
  pair.client.finish(id);
  pair.run_for(milliseconds(10));
  pair.client.link->goodbye(pair.now(), Cause::shutdown);
  pair.run_for(milliseconds(990));
  CHECK_FALSE(pair.client.ended);
  pair.run_for(milliseconds(20));
  CHECK(pair.client.ended == Cause::shutdown);
  CHECK(pair.server.ended == Cause::shutdown);
  CHECK(pair.server.app(id).reset == Cause::shutdown);
  check_nothing_left(pair);
}

TEST_CASE("goodbye on a path that swallows it falls back to the server's grace") {
  LinkPair pair;
  auto id = pair.open();
  pair.run_for(seconds(1));
  pair.silent_to_server = true;
  pair.client.link->goodbye(pair.now(), Cause::shutdown);
  pair.run_for(seconds(2));
  CHECK(pair.client.ended == Cause::shutdown);
  CHECK_FALSE(pair.server.ended);
  pair.cut();
  pair.run_for(seconds(301));
  CHECK(pair.server.app(id).reset == Cause::grace_expired);
}

TEST_CASE("goodbye is valid before the link was ever up") {
  LinkPair pair;
  pair.reachable = false;
  auto id = pair.open();
  pair.run_for(seconds(1));
  pair.client.link->goodbye(pair.now(), Cause::shutdown);
  pair.run_for(milliseconds(1));
  CHECK(pair.client.ended == Cause::shutdown);
  CHECK(pair.client.app(id).reset == Cause::shutdown);
}

TEST_CASE("a restarted server without its state ends the link and new streams go on") {
  LinkPair pair;
  auto old = pair.open();
  pair.run_for(seconds(1));
  pair.client.write(old, "lost");
  pair.reachable = false;
  pair.cut();
  pair.server.link->end(pair.now(), Cause::shutdown);
  pair.run_for(milliseconds(1));
  auto fresh = pair.open();
  pair.client.write(fresh, "kept");
  pair.registry.remove(pair.client.link->id());
  pair.server.link = nullptr;
  pair.server.apps.clear();
  pair.reachable = true;
  pair.run_for(milliseconds(100));
  CHECK(pair.client.ended == Cause::server_restarted);
  CHECK(pair.client.app(old).reset == Cause::server_restarted);
  CHECK_FALSE(pair.client.app(fresh).reset);
  LinkId id;
  id.bytes[0] = 2;
  pair.client.link->renew(pair.now(), id);
  pair.run_for(milliseconds(100));
  CHECK(pair.server.app(fresh).received == "kept");
  CHECK_FALSE(pair.server.has_app(old));
}

TEST_CASE("a draining server takes no new stream and keeps the old ones, through a resume too") {
  LinkPair pair;
  auto old = pair.open();
  pair.run_for(seconds(1));
  pair.registry.drain(pair.now());
  pair.run_for(milliseconds(10));
  CHECK(pair.client.draining);
  auto late = pair.open();
  pair.run_for(milliseconds(100));
  CHECK_FALSE(pair.server.has_app(late));
  pair.cut();
  pair.run_for(milliseconds(500));
  pair.client.write(old, "still here");
  pair.run_for(milliseconds(100));
  CHECK(pair.server.app(old).received == "still here");
}

TEST_CASE("a draining server takes the streams that were on their way when it said so") {
  LinkPair pair;
  pair.open();
  pair.run_for(seconds(1));
  auto late = pair.open();  // its OPEN is written before the client has heard of it
  pair.registry.drain(pair.now());
  pair.client.write(late, "on its way");
  pair.run_for(milliseconds(100));
  CHECK(pair.client.draining);
  REQUIRE(pair.server.has_app(late));
  CHECK(pair.server.app(late).received == "on its way");
  CHECK(pair.server.refused_opens.empty());
}

TEST_CASE("a backend that cannot be had resets the application with its cause") {
  LinkPair pair;
  pair.server.connects = false;
  auto id = pair.open();
  pair.client.write(id, "hello");
  pair.run_for(milliseconds(100));
  pair.server.reset(id, Cause::target_refused);
  pair.run_for(milliseconds(100));
  CHECK(pair.client.app(id).reset == Cause::target_refused);
  CHECK(pair.client.app(id).ended->cause == Cause::target_refused);
  check_nothing_left(pair);
}

TEST_CASE("a stalled application stops its own stream and no other") {
  LinkPair pair;
  auto stalled = pair.open();
  auto other = pair.open();
  pair.run_for(milliseconds(10));
  pair.server.app(stalled).appetite = 0;
  pair.client.write(stalled, pattern(64 * kMiB));
  pair.run_for(seconds(5));
  CHECK(pair.client.app(stalled).to_send.size() > 40 * kMiB);
  pair.client.write(other, "ping");
  pair.run_for(milliseconds(1));
  CHECK(pair.server.app(other).received == "ping");
  pair.server.eat(stalled, UINT64_MAX);
  pair.run_for(seconds(20));
  CHECK(pair.server.app(stalled).received == pattern(64 * kMiB));
}

TEST_CASE("an application that never reads cannot hold up its own reset for ever") {
  LinkPair pair;
  auto id = pair.open();
  pair.run_for(milliseconds(10));
  pair.server.app(id).appetite = 0;
  pair.client.write(id, "unread");
  pair.run_for(milliseconds(10));
  pair.client.abort(id);
  pair.run_for(seconds(29));
  CHECK_FALSE(pair.server.app(id).reset);
  pair.run_for(seconds(2));
  CHECK(pair.server.app(id).reset);
  check_nothing_left(pair);
}

TEST_CASE("a thousand streams resume in one exchange of tables") {
  LinkPair::Options options;
  options.one_way = milliseconds(50);
  LinkPair pair(options);
  std::vector<std::uint64_t> ids;
  for (int i = 0; i < 1000; ++i) ids.push_back(pair.open());
  pair.run_for(seconds(1));
  for (auto id : ids) pair.client.write(id, "before");
  pair.cut_with_bytes_in_flight();
  for (auto id : ids) pair.client.write(id, " and after");
  pair.run_for(milliseconds(250));
  for (auto id : ids) REQUIRE(pair.server.app(id).received == "before and after");
}

}  // namespace holdfast
