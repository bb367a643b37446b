#include "common/core/first_bytes.h"

#include <algorithm>

#include "tests/catch.h"
#include "tests/unit/core/scripted_peer.h"

namespace holdfast {

using namespace test;

namespace {

using News = FirstBytes::News;

Time at_ms(std::int64_t ms) {
  return Time(milliseconds(ms));
}

PathReport path_of(std::uint64_t acked, std::uint64_t queued, std::uint32_t timeouts = 0) {
  PathReport path;
  path.acked = 500 + acked;  // the handshake's
  path.queued = queued;
  path.received = 700;
  path.segment = 1448;
  path.timeouts = timeouts;
  return path;
}

// A fresh carrier that was written to.
FirstBytes written(std::size_t bytes) {
  FirstBytes first;
  first.start();
  CHECK(first.unreported());
  CHECK(first.report(at_ms(0), path_of(0, 0)) == News::none);
  CHECK_FALSE(first.unreported());
  first.wrote(at_ms(10), bytes);
  return first;
}

}  // namespace

TEST_CASE("a fresh carrier whose large packet is sent again twice in vain is barren") {
  struct Row {
    const char* what;
    std::uint64_t acked, queued;
    std::uint32_t timeouts;
    News news;
  };
  const Row rows[] = {
      {"under way", 0, 3000, 0, News::none},
      {"sent again once", 0, 3000, 1, News::none},
      {"sent again twice", 0, 3000, 2, News::barren},
      {"after a small one that arrived", 1448, 3000, 2, News::barren},
      {"nothing large is under way: it is an outage", 0, 536, 4, News::none},
      {"two segments were acknowledged", 2896, 100000, 2, News::delivers},
      {"all of more than one was", 1500, 0, 0, News::delivers},
      {"all of little was, which says nothing", 1400, 0, 0, News::none},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    FirstBytes first = written(3000);
    CHECK(first.report(at_ms(700), path_of(row.acked, row.queued, row.timeouts)) == row.news);
    CHECK(first.times() == (row.news == News::barren ? 1 : 0));
  }
}

TEST_CASE(
    "a large packet that two carriers in a row sent again once each makes the second barren") {
  struct Row {
    const char* what;
    std::uint64_t acked, queued;  // by the first, at last
    std::uint32_t timeouts;
    News second;  // one that has sent its large packet again once
  };
  const Row rows[] = {
      {"the same at both", 0, 3000, 1, News::barren},
      {"the first one's never was", 0, 3000, 0, News::none},
      {"the first one's was small", 0, 536, 1, News::none},
      {"the first one delivered", 2896, 3000, 1, News::none},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    FirstBytes first = written(3000);
    first.report(at_ms(700), path_of(row.acked, row.queued, row.timeouts));
    auto next_carrier = [&] {
      first.stop();
      first.start();
      first.report(at_ms(1000), path_of(0, 0));
      first.wrote(at_ms(1000), 3000);
      CHECK(first.report(at_ms(1100), path_of(0, 3000)) == News::none);
      return first.report(at_ms(1700), path_of(0, 3000, 1));
    };
    CHECK(next_carrier() == row.second);
    // A barren one is not counted twice, and one that was given up is.
    CHECK((next_carrier() == News::barren) == (row.second == News::none));
  }
}

TEST_CASE("the kernel is asked while what is under way may be a large packet, and not else") {
  FirstBytes small = written(500);
  CHECK(small.next_look() == kNever);
  small.wrote(at_ms(20), 100);
  CHECK(small.next_look() == at_ms(120));
  small.looked(at_ms(120));
  CHECK(small.next_look() == at_ms(220));
  CHECK(small.report(at_ms(220), path_of(600, 0)) == News::none);
  CHECK(small.next_look() == kNever);  // all of it was acknowledged
  small.wrote(at_ms(300), 600);
  CHECK(small.next_look() == at_ms(400));
  CHECK(small.report(at_ms(400), path_of(3000, 1000)) == News::delivers);
  CHECK(small.next_look() == kNever);
  small.wrote(at_ms(500), 100000);
  CHECK(small.next_look() == kNever);
}

TEST_CASE("a greeting that is large at once is looked at, too") {
  FirstBytes first;
  first.start();
  first.wrote(at_ms(0), 5000);
  CHECK(first.next_look() == kNever);  // no kernel has said anything yet
  first.report(at_ms(0), path_of(0, 5000));
  CHECK(first.next_look() == at_ms(100));
}

TEST_CASE("barren carriers are counted until one delivers, and shown until one answers") {
  FirstBytes first = written(3000);
  CHECK(first.report(at_ms(700), path_of(0, 3000, 2)) == News::barren);
  CHECK(first.report(at_ms(800), path_of(0, 3000, 2)) == News::none);  // once
  first.start();
  first.report(at_ms(1000), path_of(0, 0));
  first.wrote(at_ms(1000), 3000);
  CHECK(first.report(at_ms(1700), path_of(0, 3000, 3)) == News::barren);
  CHECK(first.times() == 2);
  CHECK(first.shown() == 2);
  first.answered();
  CHECK(first.shown() == 0);
  CHECK(first.times() == 2);
  first.start();
  first.report(at_ms(2000), path_of(0, 0));
  CHECK(first.report(at_ms(2100), path_of(50000, 9000)) == News::delivers);
  CHECK(first.times() == 0);
}

TEST_CASE("an answer that does not come makes the second carrier barren, not the first") {
  FirstBytes first = written(100);
  CHECK_FALSE(first.unanswered());
  first.start();
  first.report(at_ms(1000), path_of(0, 0));
  CHECK(first.unanswered());
  CHECK(first.times() == 1);

  FirstBytes other = written(100);
  CHECK_FALSE(other.unanswered());
  other.start();
  PathReport path = path_of(0, 0);
  other.report(at_ms(1000), path);
  path.received += 2896;  // large packets come
  other.report(at_ms(1100), path);
  CHECK_FALSE(other.unanswered());
  other.start();  // but that one was live for long, and this one is fresh
  other.report(at_ms(2000), path);
  CHECK(other.unanswered());
}

TEST_CASE("an answer that two greetings in a row wait for makes the second one barren") {
  ScriptedPeer peer(LinkOptions::Role::client);
  peer.open();
  auto greet = [&](std::uint64_t number, bool passed) {
    peer.link().carrier_down(peer.now(), peer.link().carrier(), Cause::carrier_reset);
    CarrierId carrier{number};
    peer.link().carrier_up(peer.now(), carrier, milliseconds(20));
    peer.transmit();
    PathReport path = path_of(0, 0);
    peer.link().path_report(peer.now(), carrier, path);
    path.acked = passed ? 300 : 0;
    path.queued = passed ? 0 : 300;
    peer.link().path_report(peer.now(), carrier, path);
    peer.pass(seconds(2));
    peer.link().timeout(peer.now());
    peer.end.drain();
  };
  greet(77, true);
  CHECK(peer.link().counters().carriers_barren == 0);
  CHECK(peer.link().wants_carrier());
  greet(78, false);  // nothing got there: an outage
  CHECK(peer.link().counters().carriers_barren == 0);
  greet(79, true);
  CHECK(peer.link().counters().carriers_barren == 1);
}

namespace {

// How long each of so many greetings waits whose bytes arrive at once, and that nobody answers.
std::vector<std::int64_t> waits_of_mute_greetings(End& end, std::uint64_t count) {
  Link& link = *end.link;
  std::vector<std::int64_t> waits;
  for (std::uint64_t i = 0; i < count; ++i) {
    Time dialled = end.now;
    CarrierId carrier{100 + i};
    link.carrier_up(dialled, carrier, milliseconds(20));
    end.drain();
    while (auto gather = link.poll_transmit(dialled, tuning::kMaxGather)) {
      link.written(dialled, gather->bytes);
    }
    link.path_report(dialled, carrier, path_of(0, 0));
    while (!link.wants_carrier()) {
      end.now += milliseconds(100);
      link.timeout(end.now);
      end.drain();
    }
    waits.push_back((end.now - dialled).count() / 1000);
  }
  return waits;
}

}  // namespace

TEST_CASE("a new link's greetings have twice as long each time: a relay may be near, and it far") {
  End end;
  LinkOptions options;
  options.role = LinkOptions::Role::client;
  Link link(options, end.pool, LinkId{{1}}, 0);
  end.link = &link;
  CHECK(waits_of_mute_greetings(end, 6) ==
        std::vector<std::int64_t>{500, 500, 1000, 2000, 4000, 8000});
}

TEST_CASE("those of a link that has lived have so after ten seconds only") {
  ScriptedPeer peer(LinkOptions::Role::client);
  peer.open();
  peer.lose_carrier();
  std::vector<std::int64_t> waits = waits_of_mute_greetings(peer.end, 23);
  CHECK(std::count(waits.begin(), waits.end(), 500) == 21);
  CHECK(waits[21] == 1000);
  CHECK(waits[22] == 2000);
}

TEST_CASE("a client that sees its carrier barren wants another at once and says so") {
  ScriptedPeer peer(LinkOptions::Role::client);
  peer.open();
  PathReport path = path_of(0, 0);
  peer.link().path_report(peer.now(), peer.carrier(), path);
  path.queued = 3000;
  path.timeouts = 2;
  peer.link().path_report(peer.now(), peer.carrier(), path);
  CHECK(peer.link().wants_carrier());
  peer.end.drain();
  REQUIRE(peer.end.barren.size() == 1);
  CHECK(peer.end.barren[0].carrier == peer.carrier());
  CHECK(peer.end.barren[0].times == 1);
  CHECK(peer.link().barren_carriers() == 1);
  CHECK(peer.link().counters().carriers_barren == 1);
}

}  // namespace holdfast
