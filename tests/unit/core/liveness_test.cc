#include "common/core/liveness.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

using Action = Liveness::Action;

Time at_ms(std::int64_t ms) {
  return Time(milliseconds(ms));
}

// A carrier that stands at 1000 ms, heartbeat 1 s, dead after 15 s, 20 ms of round trip.
Liveness standing(Duration round_trip = milliseconds(20)) {
  Liveness liveness;
  liveness.start(at_ms(1000), seconds(1), seconds(15), round_trip);
  return liveness;
}

// Runs timeouts when due, without hearing anything, until the action comes.
Time when(Liveness& liveness, Action wanted) {
  for (int i = 0; i < 10; ++i) {
    Time due = liveness.next_timeout();
    if (liveness.timeout(due) == wanted) return due;
  }
  return kNever;
}

}  // namespace

TEST_CASE("nothing is due while the peer talks") {
  Liveness liveness = standing();
  for (int ms = 1000; ms < 20000; ms += 500) {
    liveness.heard(at_ms(ms));
    CHECK(liveness.timeout(at_ms(ms + 1)) == Action::none);
    CHECK(liveness.state() == Liveness::State::fresh);
  }
}

TEST_CASE("silence is questioned, then suspected, then verified, at these times") {
  struct Row {
    const char* name;
    Duration round_trip;
    bool written;
    int ping_ms, suspect_ms, verify_ms;
  };
  // From 1000 ms on, when the carrier stood; the write comes at 1100 ms.
  const Row rows[] = {
      {"heartbeat only", milliseconds(20), false, 2000, 2500, 16000},
      {"a write unanswered", milliseconds(20), true, 1600, 2100, 16000},
      {"a write on a slow path waits for the heartbeat", milliseconds(600), true, 2000, 4400,
       16000},
      {"a slow path, heartbeat only", milliseconds(600), false, 2000, 4400, 16000},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    Liveness liveness = standing(row.round_trip);
    if (row.written) liveness.wrote(at_ms(1100));
    CHECK(when(liveness, Action::ping) == at_ms(row.ping_ms));
    CHECK(liveness.state() == Liveness::State::asked);
    CHECK(when(liveness, Action::suspect) == at_ms(row.suspect_ms));
    CHECK(liveness.suspect());
    CHECK(when(liveness, Action::verify) == at_ms(row.verify_ms));
  }
}

TEST_CASE("our own writes never put the question off") {
  Liveness liveness = standing();
  for (int ms = 1000; ms < 1500; ms += 50) liveness.wrote(at_ms(ms));
  CHECK(when(liveness, Action::ping) == at_ms(1500));
  for (int ms = 1500; ms < 2000; ms += 50) liveness.wrote(at_ms(ms));
  CHECK(when(liveness, Action::suspect) == at_ms(2000));
  for (int ms = 2000; ms < 16000; ms += 50) liveness.wrote(at_ms(ms));
  CHECK(liveness.next_timeout() == at_ms(16000));
}

TEST_CASE("only the PONG answers the question, other bytes put off death") {
  for (int answered_in : {1, 2}) {
    Liveness liveness = standing();
    when(liveness, Action::ping);
    if (answered_in == 2) when(liveness, Action::suspect);
    Liveness::State asked = liveness.state();
    // The peer's retransmissions: they say nothing of our own way.
    liveness.heard(at_ms(2590));
    CHECK(liveness.state() == asked);
    CHECK(liveness.last_heard() == at_ms(2590));
    liveness.heard(at_ms(2600));
    liveness.answered();
    CHECK(liveness.state() == Liveness::State::fresh);
    CHECK(liveness.next_timeout() == at_ms(3600));
  }
}

TEST_CASE("a peer that is heard but never answers is suspect, not dead") {
  Liveness liveness = standing();
  when(liveness, Action::ping);
  for (int ms = 2100; ms < 2500; ms += 100) liveness.heard(at_ms(ms));
  CHECK(when(liveness, Action::suspect) == at_ms(2500));
  for (int ms = 2500; ms < 40000; ms += 100) {
    liveness.heard(at_ms(ms));
    CHECK(liveness.timeout(at_ms(ms)) == Action::none);
  }
}

TEST_CASE("a turn that came late is excused once and asks at once") {
  Liveness liveness = standing();
  // Stopped from 1000 ms to 31 s: nobody knows whether the peer was silent.
  CHECK(liveness.timeout(at_ms(31000)) == Action::ping);
  CHECK(liveness.state() == Liveness::State::asked);
  CHECK(liveness.timeout(at_ms(31001)) == Action::none);
  // Late again without having heard anything: no second excuse.
  CHECK(liveness.timeout(at_ms(60000)) == Action::verify);
}

TEST_CASE("after an excuse and an answer the next late turn is excused again") {
  Liveness liveness = standing();
  CHECK(liveness.timeout(at_ms(31000)) == Action::ping);
  liveness.heard(at_ms(31020));
  CHECK(liveness.timeout(at_ms(90000)) == Action::ping);
}

TEST_CASE("an excused carrier that stays silent still dies") {
  Liveness liveness = standing();
  CHECK(liveness.timeout(at_ms(31000)) == Action::ping);
  CHECK(when(liveness, Action::suspect) == at_ms(31500));
  CHECK(when(liveness, Action::verify) == at_ms(46000));
}

TEST_CASE("doubt asks at once, whenever something was last heard") {
  for (int silent_ms : {0, 100, 300, 900}) {
    INFO("silent for " << silent_ms << " ms");
    Liveness liveness = standing();
    Time now = at_ms(1000 + silent_ms);
    liveness.doubt(now);
    CHECK(liveness.next_timeout() <= now);
    CHECK(liveness.timeout(now) == Action::ping);
    CHECK(liveness.state() == Liveness::State::asked);
    // A question is not an answer: what was heard last stays.
    CHECK(liveness.last_heard() == at_ms(1000));
    CHECK(when(liveness, Action::suspect) == now + milliseconds(500));
  }
}

TEST_CASE("one that is given up is silent since it was heard, or since it was asked") {
  Liveness liveness = standing();
  liveness.heard(at_ms(1400));
  CHECK(liveness.give_up(at_ms(1600)));
  CHECK(liveness.suspect());
  CHECK(liveness.silent_since() == at_ms(1400));
  CHECK_FALSE(liveness.give_up(at_ms(1900)));
  CHECK(liveness.silent_since() == at_ms(1400));

  Liveness talks = standing();
  CHECK(when(talks, Action::ping) == at_ms(2000));
  talks.heard(at_ms(2200));
  CHECK_FALSE(talks.give_up(at_ms(2300)));
  CHECK(talks.silent_since() == at_ms(2000));
}

TEST_CASE("a peer that talks is asked when the kernel sends ours again in vain") {
  struct Row {
    const char* name;
    std::uint64_t queued;
    std::uint32_t timeouts;
    bool asks;
  };
  const Row rows[] = {
      {"all has arrived", 0, 0, false},
      {"much is on its way", 100000, 0, false},
      {"a packet was lost", 100000, 1, false},
      {"twice", 100000, 2, true},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    Liveness liveness = standing();
    liveness.wrote(at_ms(1200));
    liveness.wrote_more(at_ms(1200));
    liveness.wrote_more(at_ms(1300));  // counts with the first
    liveness.heard(at_ms(2100));
    CHECK_FALSE(liveness.wants_report(at_ms(2199)));
    CHECK(liveness.next_timeout() == at_ms(2200));
    CHECK(liveness.wants_report(at_ms(2200)));
    PathReport path;
    path.queued = row.queued;
    path.timeouts = row.timeouts;
    liveness.report(at_ms(2200), path);
    CHECK(liveness.timeout(at_ms(2200)) == (row.asks ? Action::ping : Action::none));
    if (row.asks) continue;
    // Looked at again while something is on its way.
    liveness.heard(at_ms(3150));
    CHECK(liveness.wants_report(at_ms(3200)) == (row.queued != 0));
  }
}

TEST_CASE("a kernel that says nothing is not asked again before the next write") {
  Liveness liveness = standing();
  liveness.wrote_more(at_ms(1200));
  liveness.heard(at_ms(2100));
  CHECK(liveness.timeout(at_ms(2200)) == Action::none);
  CHECK_FALSE(liveness.wants_report(at_ms(2200)));
  CHECK(liveness.next_timeout() == at_ms(3100));
  liveness.wrote_more(at_ms(2300));
  CHECK(liveness.wants_report(at_ms(3300)));
}

TEST_CASE("reports for others do not count before it is time") {
  Liveness liveness = standing();
  liveness.wrote_more(at_ms(1200));
  PathReport path;
  path.queued = 100000;
  path.timeouts = 2;
  liveness.report(at_ms(1300), path);
  liveness.heard(at_ms(1900));
  CHECK(liveness.timeout(at_ms(1300)) == Action::none);
  CHECK(liveness.wants_report(at_ms(2200)));
}

TEST_CASE("an answered doubt leaves nothing behind") {
  Liveness liveness = standing();
  liveness.doubt(at_ms(1200));
  liveness.timeout(at_ms(1200));
  liveness.heard(at_ms(1220));
  liveness.answered();
  CHECK(liveness.next_timeout() == at_ms(2220));
}

TEST_CASE("patience follows the measured round trip") {
  Liveness liveness = standing(Duration{});
  CHECK(liveness.patience() == milliseconds(500));
  liveness.measured(milliseconds(300));
  CHECK(liveness.round_trip() == milliseconds(300));
  CHECK(liveness.patience() == milliseconds(1200));
  for (int i = 0; i < 100; ++i) liveness.measured(milliseconds(10));
  CHECK(liveness.round_trip() < milliseconds(12));
  CHECK(liveness.patience() == milliseconds(500));
}

TEST_CASE("a round trip weighs an eighth, and one that is longer counts at once") {
  Liveness liveness = standing(milliseconds(800));
  liveness.measured(milliseconds(80));
  CHECK(liveness.round_trip() == milliseconds(710));
  liveness.measured(milliseconds(3000));
  CHECK(liveness.round_trip() == milliseconds(3000));
}

TEST_CASE("where nothing at all is heard the path's own round trip counts, not the load's") {
  Liveness liveness = standing();
  for (int i = 0; i < 20; ++i) liveness.measured(milliseconds(900));  // behind bulk
  CHECK(liveness.patience() == milliseconds(3600));
  SECTION("silence: a write is questioned and the question stands, half a second each") {
    liveness.wrote(at_ms(1100));
    CHECK(when(liveness, Action::ping) == at_ms(1600));
    CHECK(when(liveness, Action::suspect) == at_ms(2100));
  }
  SECTION("silence after the heartbeat's question: half a second, too") {
    Time asked = when(liveness, Action::ping);
    CHECK(asked == at_ms(2000));
    CHECK(when(liveness, Action::suspect) == asked + milliseconds(500));
  }
  SECTION("bytes that go on coming: the answer may be behind others, as always under load") {
    Time asked = when(liveness, Action::ping);
    liveness.heard(asked + milliseconds(100));
    CHECK(when(liveness, Action::suspect) == asked + milliseconds(3600));
  }
  SECTION("a long path is given its own round trips") {
    liveness.start(at_ms(1000), seconds(1), seconds(15), milliseconds(600));
    liveness.measured(milliseconds(900));
    Time asked = when(liveness, Action::ping);
    Time suspect = when(liveness, Action::suspect);
    CHECK(suspect >= asked + milliseconds(2400));
    CHECK(suspect < asked + milliseconds(2450));
  }
}

TEST_CASE("what another lane has queued gives a question time") {
  Liveness liveness = standing();
  CHECK(when(liveness, Action::ping) == at_ms(2000));
  PathReport path;
  path.beside = milliseconds(700);
  liveness.report(at_ms(2000), path);
  CHECK(liveness.timeout(at_ms(2500)) == Action::none);
  liveness.report(at_ms(2500), path);
  CHECK(liveness.timeout(at_ms(3399)) == Action::none);
  CHECK(liveness.timeout(at_ms(3400)) == Action::suspect);

  Liveness other = standing();
  CHECK(when(other, Action::ping) == at_ms(2000));
  other.report(at_ms(2000), path);
  path.beside = {};  // it has ended
  other.report(at_ms(2500), path);
  CHECK(other.timeout(at_ms(2500)) == Action::suspect);
}

TEST_CASE("while bytes come, an answer that has not come makes the loaded round trip longer") {
  Liveness liveness = standing();
  std::uint64_t token = liveness.ping(at_ms(2000));
  liveness.heard(at_ms(2900));
  CHECK(liveness.loaded_round_trip(at_ms(3000)) == seconds(1));
  CHECK(liveness.loaded_round_trip(at_ms(3500)) == milliseconds(20));  // nothing comes: an outage
  liveness.heard(at_ms(3600));
  CHECK(liveness.pong(at_ms(3600), token));
  CHECK(liveness.loaded_round_trip(at_ms(3700)) == milliseconds(1600));
}

TEST_CASE("a path that has become shorter counts at once") {
  Liveness liveness = standing();
  liveness.start(at_ms(1000), seconds(1), seconds(15), seconds(2));
  liveness.measured(milliseconds(20));
  Time asked = when(liveness, Action::ping);
  CHECK(when(liveness, Action::suspect) == asked + milliseconds(500));
}

TEST_CASE("a path that has become longer is learnt in time") {
  Liveness liveness = standing();
  auto patience = [&] {
    Time asked = when(liveness, Action::ping);
    return when(liveness, Action::suspect) - asked;
  };
  int measures = 0;
  for (; measures < 1000 && patience() < milliseconds(600); ++measures) {
    liveness.start(at_ms(1000), seconds(1), seconds(15), milliseconds(20));
    for (int i = 0; i < measures; ++i) liveness.measured(milliseconds(600));
  }
  CHECK(measures > 30);   // seconds of load are no longer path
  CHECK(measures < 200);  // a heartbeat each: minutes
}

TEST_CASE("with tight timers a silent path is noticed within one and a half seconds") {
  Liveness liveness;
  liveness.start(at_ms(0), milliseconds(200), seconds(1), milliseconds(1));
  CHECK(when(liveness, Action::verify) == at_ms(1000));
}

}  // namespace holdfast
