#include "common/core/dialer.h"

#include <algorithm>
#include <map>

#include "tests/catch.h"

namespace holdfast {
namespace {

using Need = Dialer::Need;

Time at_ms(std::int64_t ms) {
  return Time(milliseconds(ms));
}

std::vector<std::size_t> dials_at(Dialer& dialer, Time now) {
  std::vector<std::size_t> dials;
  while (auto address = dialer.poll(now)) dials.push_back(*address);
  return dials;
}

}  // namespace

TEST_CASE("with streams waiting dials go on, sooner than 800 ms, though none of them ends") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    Dialer dialer(seed);
    dialer.set_addresses(at_ms(0), 1);
    dialer.set_need(at_ms(0), Need::urgent);
    Time now = at_ms(0);
    Duration interval = tuning::kUrgentDial;
    for (int round = 0; round < 6; ++round) {
      INFO("round " << round);
      CHECK(dialer.next_timeout() <= now);
      CHECK(dials_at(dialer, now) == std::vector<std::size_t>{0});
      if (round == 5) break;
      Duration wait = dialer.next_timeout() - now;
      CHECK(wait >= interval * 3 / 4);
      CHECK(wait <= interval);
      CHECK(dials_at(dialer, now + wait - Duration(1)).empty());
      now += wait;
      interval = std::min<Duration>(interval * 5 / 4, milliseconds(800));
    }
    CHECK(interval == milliseconds(800));
    CHECK(dialer.in_flight() == 6);
    CHECK(dialer.next_timeout() == kNever);
    CHECK(dials_at(dialer, now + seconds(1)).empty());
    dialer.failed(now + seconds(1));
    CHECK(dials_at(dialer, now + seconds(1)).size() == 1);
    CHECK(dialer.dials() == 7);
    dialer.established();  // its handshake is under way: another connect may begin
    CHECK(dials_at(dialer, now + seconds(2)).size() == 1);
    dialer.start_over();
    dialer.failed(now + seconds(3));
    CHECK(dials_at(dialer, now + seconds(3)).size() == 1);
    CHECK(dialer.next_timeout() == kNever);
    dialer.failed(now + seconds(3));
    CHECK(dialer.next_timeout() <= now + seconds(3) + milliseconds(400));
  }
}

TEST_CASE("addresses are tried in turn and all of them") {
  Dialer dialer(1);
  dialer.set_addresses(at_ms(0), 3);
  dialer.set_need(at_ms(0), Need::urgent);
  std::vector<std::size_t> order;
  for (int round = 0; round < 6; ++round) {
    for (std::size_t address : dials_at(dialer, at_ms(250 * round))) order.push_back(address);
  }
  CHECK(order == std::vector<std::size_t>{0, 1, 2, 0, 1, 2});
}

TEST_CASE("the last good address is dialled in every round and the others beside it") {
  Dialer dialer(1);
  dialer.set_addresses(at_ms(0), 3);
  dialer.set_need(at_ms(0), Need::urgent);
  REQUIRE(dials_at(dialer, at_ms(0)).size() == 1);
  dialer.established();
  dialer.connected(1);
  dialer.set_need(at_ms(1), Need::none);
  CHECK(dialer.next_timeout() == kNever);
  dialer.set_need(at_ms(5000), Need::urgent);
  std::map<std::size_t, int> others;
  for (int round = 0; round < 6; ++round) {
    INFO("round " << round);
    auto dials = dials_at(dialer, at_ms(5000 + 800 * round));
    REQUIRE(dials.size() == 2);
    CHECK(dials[0] == 1);
    CHECK(dials[1] != 1);
    CHECK(dialer.in_flight() == 2);
    CHECK(dialer.dials() == 2 * (static_cast<std::uint64_t>(round) + 1));
    others[dials[1]] += 1;
    dialer.failed(at_ms(5000 + 800 * round));
    dialer.failed(at_ms(5000 + 800 * round));
  }
  CHECK(others[0] == 3);
  CHECK(others[2] == 3);
}

TEST_CASE("without streams one dial at a time, backing off with jitter up to a bound") {
  std::int64_t widest = 0;  // thousandths of the wait without jitter
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    INFO("seed " << seed);
    Dialer dialer(seed);
    dialer.set_addresses(at_ms(0), 1);
    dialer.set_need(at_ms(0), Need::relaxed);
    Time now = at_ms(0);
    Duration expected = tuning::kUrgentDial;
    for (int round = 0; round < 12; ++round) {
      REQUIRE(dials_at(dialer, now).size() == 1);
      CHECK(dialer.next_timeout() >= now + seconds(2));  // one in flight
      dialer.failed(now);
      Duration wait = dialer.next_timeout() - now;
      CHECK(wait >= expected);
      CHECK(wait <= expected + expected / 4);
      widest = std::max<std::int64_t>(widest, (wait - expected) * 1000 / expected);
      CHECK(dials_at(dialer, now + wait - Duration(1)).empty());
      now += wait;
      expected = std::min<Duration>(expected * 2, tuning::kMaxBackoff);
    }
    CHECK(expected == tuning::kMaxBackoff);
  }
  CHECK(widest > 240);
}

TEST_CASE("without streams a silent address makes room for the next after 250 ms") {
  Dialer dialer(1);
  dialer.set_addresses(at_ms(0), 3);
  dialer.set_need(at_ms(0), Need::relaxed);
  CHECK(dials_at(dialer, at_ms(0)) == std::vector<std::size_t>{0});
  CHECK(dialer.next_timeout() == at_ms(250));
  CHECK(dials_at(dialer, at_ms(249)).empty());
  CHECK(dials_at(dialer, at_ms(250)) == std::vector<std::size_t>{1});
  dialer.failed(at_ms(260));
  dialer.failed(at_ms(260));
  CHECK(dialer.next_timeout() <= at_ms(260));  // nothing in flight: the next at once
  CHECK(dials_at(dialer, at_ms(260)) == std::vector<std::size_t>{2});
  CHECK(dialer.next_timeout() == at_ms(2260));  // each once
  dialer.failed(at_ms(300));
  CHECK(dials_at(dialer, at_ms(300)).empty());
  Time round = dialer.next_timeout();
  CHECK(round >= at_ms(400));
  CHECK(round <= at_ms(500));
  CHECK(dials_at(dialer, round) == std::vector<std::size_t>{0});
}

TEST_CASE("without streams the last good address is the first of a round") {
  Dialer dialer(1);
  dialer.set_addresses(at_ms(0), 3);
  dialer.set_need(at_ms(0), Need::relaxed);
  REQUIRE(dials_at(dialer, at_ms(0)).size() == 1);
  dialer.established();
  dialer.connected(2);
  dialer.set_need(at_ms(1), Need::none);
  dialer.start_over();
  dialer.set_need(at_ms(5000), Need::relaxed);
  CHECK(dials_at(dialer, at_ms(5000)) == std::vector<std::size_t>{2});
  std::vector<std::size_t> others;
  for (int ms : {5250, 5500}) {
    for (std::size_t address : dials_at(dialer, at_ms(ms))) others.push_back(address);
  }
  std::sort(others.begin(), others.end());
  CHECK(others == std::vector<std::size_t>{0, 1});
}

TEST_CASE("the jitter of two agents differs") {
  auto first_wait = [](std::uint64_t seed) {
    Dialer dialer(seed);
    dialer.set_addresses(at_ms(0), 1);
    dialer.set_need(at_ms(0), Need::relaxed);
    dialer.poll(at_ms(0));
    dialer.failed(at_ms(0));
    return dialer.next_timeout();
  };
  CHECK(first_wait(1) != first_wait(2));
  CHECK(first_wait(1) == first_wait(1));
}

TEST_CASE("an application that comes ends the back-off at once") {
  Dialer dialer(1);
  dialer.set_addresses(at_ms(0), 1);
  dialer.set_need(at_ms(0), Need::relaxed);
  Time now = at_ms(0);
  for (int round = 0; round < 8; ++round) {
    dials_at(dialer, now);
    dialer.failed(now);
    now = dialer.next_timeout();
  }
  Time waiting = now - seconds(10);
  CHECK(dials_at(dialer, waiting).empty());
  dialer.set_need(waiting, Need::urgent);
  CHECK(dials_at(dialer, waiting).size() == 1);
}

TEST_CASE("a dial under way without need does not delay urgent ones") {
  Dialer dialer(1);
  dialer.set_addresses(at_ms(0), 1);
  dialer.set_need(at_ms(0), Need::relaxed);
  REQUIRE(dials_at(dialer, at_ms(0)).size() == 1);
  dialer.set_need(at_ms(100), Need::urgent);
  CHECK(dials_at(dialer, at_ms(100)).size() == 1);
  CHECK(dialer.in_flight() == 2);
}

TEST_CASE("the other end's wish not to be dialled is kept") {
  for (Need need : {Need::relaxed, Need::urgent}) {
    Dialer dialer(1);
    dialer.set_addresses(at_ms(0), 2);
    dialer.set_need(at_ms(0), need);
    dialer.hold_off(at_ms(2000));
    CHECK(dialer.next_timeout() == at_ms(2000));
    CHECK(dials_at(dialer, at_ms(1999)).empty());
    CHECK_FALSE(dials_at(dialer, at_ms(2000)).empty());
  }
}

TEST_CASE("without addresses nothing is dialled and the first look-up dials at once") {
  Dialer dialer(1);
  dialer.set_need(at_ms(0), Need::urgent);
  CHECK(dialer.next_timeout() == kNever);
  CHECK(dials_at(dialer, at_ms(100)).empty());
  dialer.set_addresses(at_ms(150), 2);
  CHECK(dialer.next_timeout() <= at_ms(150));
  CHECK(dials_at(dialer, at_ms(150)).size() == 1);
}

TEST_CASE("addresses that come back are dialled at once") {
  Dialer dialer(1);
  dialer.set_addresses(at_ms(0), 1);
  dialer.set_need(at_ms(0), Need::relaxed);
  Time now = at_ms(0);
  for (int round = 0; round < 6; ++round) {
    dials_at(dialer, now);
    dialer.failed(now);
    now = dialer.next_timeout();
  }
  Time waiting = now - seconds(3);
  CHECK(dials_at(dialer, waiting).empty());
  dialer.set_addresses(waiting, 0);
  CHECK(dialer.next_timeout() == kNever);
  dialer.set_addresses(waiting, 2);
  CHECK(dials_at(dialer, waiting).size() == 1);
}

TEST_CASE("addresses may become fewer") {
  Dialer dialer(1);
  dialer.set_addresses(at_ms(0), 5);
  dialer.set_need(at_ms(0), Need::urgent);
  REQUIRE(dials_at(dialer, at_ms(0)).size() == 1);
  dialer.connected(4);
  dialer.set_addresses(at_ms(10), 2);
  dialer.set_need(at_ms(10), Need::none);
  dialer.set_need(at_ms(20), Need::urgent);
  for (int round = 0; round < 5; ++round) {
    for (std::size_t address : dials_at(dialer, at_ms(500 + 400 * round))) CHECK(address < 2);
  }
}

TEST_CASE("a carrier that stands and comes to nothing is not dialled the faster") {
  for (Need need : {Need::relaxed, Need::urgent}) {
    Dialer dialer(1);
    dialer.set_addresses(at_ms(0), 1);
    int dials = 0;
    for (int ms = 0; ms < 10'000; ++ms) {
      dialer.set_need(at_ms(ms), need);
      if (dials_at(dialer, at_ms(ms)).empty()) continue;
      dials += 1;
      dialer.connected(0);
      dialer.set_need(at_ms(ms), Need::none);  // it stands, and is closed at once
    }
    CHECK(dials >= 2);
    CHECK(dials <= (need == Need::urgent ? 26 : 7));
  }
}

TEST_CASE("after a link that was up the first dial is at once") {
  Dialer dialer(1);
  dialer.set_addresses(at_ms(0), 1);
  for (int cut = 0; cut < 5; ++cut) {
    dialer.set_need(at_ms(10 * cut), Need::urgent);
    CHECK(dials_at(dialer, at_ms(10 * cut)).size() == 1);
    dialer.connected(0);
    dialer.set_need(at_ms(10 * cut), Need::none);
    dialer.start_over();
  }
}

TEST_CASE("dials may begin at any of several addresses, and go on from there in turn") {
  std::map<std::size_t, int> first;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Dialer dialer(seed);
    dialer.begin_at(Dialer::Begin::anywhere);
    dialer.set_addresses(at_ms(0), 3);
    dialer.set_need(at_ms(0), Need::urgent);
    std::vector<std::size_t> dials = dials_at(dialer, at_ms(0));
    REQUIRE(dials.size() == 1);
    first[dials[0]] += 1;
    std::vector<std::size_t> next = dials_at(dialer, at_ms(500));
    REQUIRE_FALSE(next.empty());
    CHECK(next[0] == (dials[0] + 1) % 3);
  }
  CHECK(first.size() == 3);
  for (const auto& [address, times] : first) CHECK(times > 5);
}

TEST_CASE("a preferred address comes first, and one that is passed over does not") {
  Dialer dialer(1);
  dialer.set_addresses(at_ms(0), 3);
  dialer.prefer(2);
  dialer.set_need(at_ms(0), Need::urgent);
  CHECK(dials_at(dialer, at_ms(0)).front() == 2);
  dialer.prefer(std::nullopt);
  CHECK(dials_at(dialer, at_ms(500)).front() != 2);
}

TEST_CASE("a round that was put off, or forward, comes then") {
  Dialer dialer(1);
  dialer.set_addresses(at_ms(0), 1);
  dialer.set_need(at_ms(0), Need::urgent);
  REQUIRE(dials_at(dialer, at_ms(0)).size() == 1);
  dialer.connected(0);
  dialer.again_at(at_ms(100));
  CHECK(dials_at(dialer, at_ms(99)).empty());
  CHECK(dialer.next_timeout() == at_ms(100));
  CHECK(dials_at(dialer, at_ms(100)).size() == 1);
  dialer.connected(0);
  dialer.again_at(at_ms(5000));
  CHECK(dials_at(dialer, at_ms(4999)).empty());
  CHECK(dials_at(dialer, at_ms(5000)).size() == 1);
}

}  // namespace holdfast
