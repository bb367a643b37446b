#include "common/admin/history.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

constexpr Time kStart = Time(seconds(1000));

LinkId link_id(std::uint8_t last) {
  LinkId id;
  id.bytes[15] = last;
  return id;
}

History::Measurement reading(std::uint64_t up, std::uint64_t down, std::uint32_t connections = 1) {
  History::Measurement out;
  out.bytes_up = up;
  out.bytes_down = down;
  out.connections = connections;
  return out;
}

HistoryView whole(const History& history, Time now) {
  return history.view(now, Time::min());
}

Ending ending(Cause cause, std::uint64_t stream = 1) {
  Ending out;
  out.stream = StreamId{stream};
  out.service = "web";
  out.client = "127.0.0.1:4000";
  out.cause = cause;
  return out;
}

TEST_CASE("a sample holds what was counted since the one before, and for how long") {
  History history(kStart);
  history.observe(kStart + seconds(1), reading(100, 10));
  history.observe(kStart + seconds(4), reading(400, 10, 7));
  HistoryView view = whole(history, kStart + seconds(4));
  REQUIRE(view.recent.size() == 2);
  CHECK(view.recent[0].bytes_up == 100);
  CHECK(view.recent[1].bytes_up == 300);
  CHECK(view.recent[1].bytes_down == 0);
  CHECK(view.recent[1].span == seconds(3));
  CHECK(view.recent[1].connections == 7);
}

TEST_CASE("two readings at one instant are one sample") {
  History history(kStart);
  history.observe(kStart + seconds(1), reading(100, 0));
  history.observe(kStart + seconds(1), reading(200, 0));
  history.observe(kStart + seconds(2), reading(300, 0));
  HistoryView view = whole(history, kStart + seconds(2));
  REQUIRE(view.recent.size() == 2);
  CHECK(view.recent[1].bytes_up == 200);
}

TEST_CASE("bytes of a link that has ended are neither lost nor counted twice") {
  History history(kStart);
  history.link_up(kStart, link_id(1), "edge-1");
  history.observe(kStart + seconds(1), reading(100, 50));
  history.link_ended(kStart + seconds(1), link_id(1), Cause::goodbye, 130, 60);
  history.observe(kStart + seconds(2), reading(0, 0, 0));
  history.observe(kStart + seconds(3), reading(5, 0, 0));
  HistoryView view = whole(history, kStart + seconds(3));
  CHECK(view.recent[1].bytes_up == 30);
  CHECK(view.recent[1].bytes_down == 10);
  CHECK(view.recent[2].bytes_up == 5);
}

TEST_CASE("ten seconds of samples are merged: sums of bytes, the most of everything else") {
  History history(kStart);
  for (int i = 1; i <= 25; ++i) {
    History::Measurement one = reading(static_cast<std::uint64_t>(i) * 10, 0, i == 4 ? 9 : 2);
    one.round_trip = milliseconds(i);
    one.detached = i == 5 ? 3 : 0;
    history.observe(kStart + seconds(i), one);
  }
  HistoryView view = whole(history, kStart + seconds(25));
  REQUIRE(view.older.size() == 2);
  CHECK(view.older[0].bytes_up == 100);
  CHECK(view.older[0].span == seconds(10));
  CHECK(view.older[0].connections == 9);
  CHECK(view.older[0].detached == 3);
  CHECK(view.older[0].round_trip == milliseconds(10));
  CHECK(view.older[1].connections == 2);
  CHECK(view.older[1].at == kStart + seconds(20));
}

TEST_CASE("timers that are late do not make merged samples longer than eleven seconds") {
  History history(kStart);
  Time now = kStart;
  for (int i = 0; i < 600; ++i) {
    now += milliseconds(1003);
    history.observe(now, reading(0, 0));
  }
  HistoryView view = whole(history, now);
  CHECK(view.older.size() >= 58);
  for (const HistorySample& one : view.older) CHECK(one.span < seconds(11));
}

TEST_CASE("samples are bounded and the newest ones stay") {
  History history(kStart);
  constexpr int kMany = 40'000;
  for (int i = 1; i <= kMany; ++i) {
    history.observe(kStart + seconds(i), reading(static_cast<std::uint64_t>(i), 0));
  }
  HistoryView view = whole(history, kStart + seconds(kMany));
  CHECK(view.recent.size() == kRecentSamples);
  CHECK(view.older.size() == kOlderSamples);
  CHECK(view.recent.back().at == kStart + seconds(kMany));
  CHECK(view.recent.front().at == kStart + seconds(kMany - 599));
  CHECK(view.older.back().at == kStart + seconds(kMany));
}

TEST_CASE("a view holds only samples after the instant asked for") {
  History history(kStart);
  for (int i = 1; i <= 30; ++i) history.observe(kStart + seconds(i), reading(0, 0));
  HistoryView view = history.view(kStart + seconds(30), kStart + seconds(28));
  CHECK(view.recent.size() == 2);
  CHECK(view.older.size() == 1);
  CHECK(history.view(kStart + seconds(30), kStart + seconds(30)).recent.empty());
}

TEST_CASE("samples are taken every second while something changes or somebody looks") {
  History history(kStart);
  Time now = kStart;
  auto step = [&](std::uint64_t bytes, std::uint32_t links_down = 0) {
    now += history.wanted_interval(now);
    History::Measurement one = reading(bytes, 0);
    one.links_down = links_down;
    history.observe(now, one);
    return history.wanted_interval(now);
  };
  CHECK(step(10) == kBusyInterval);
  for (int i = 0; i < 40; ++i) step(10);
  CHECK(history.wanted_interval(now) == kQuietInterval);
  CHECK(step(11) == kBusyInterval);
  for (int i = 0; i < 40; ++i) step(11);
  CHECK(history.wanted_interval(now) == kQuietInterval);
  history.asked(now);
  CHECK(history.wanted_interval(now) == kBusyInterval);
  CHECK(history.wanted_interval(now + kLookedAtFor) == kQuietInterval);
  now += kLookedAtFor;
  CHECK(step(11, 1) == kBusyInterval);
}

TEST_CASE("an outage tells its cause, what was resumed and what was sent again after it") {
  History history(kStart);
  history.link_up(kStart, link_id(1), "edge-1");
  history.link_down(kStart + seconds(5), link_id(1), "edge-1", Cause::carrier_silent, 3, 1000);
  HistoryView during = whole(history, kStart + seconds(6));
  REQUIRE(during.outages.size() == 1);
  CHECK(during.outages[0].result == Outage::Result::running);
  CHECK(during.outages[0].ended == kNever);
  history.link_resumed(kStart + seconds(9), link_id(1), 2);
  History::Measurement later = reading(0, 0);
  later.links = {{link_id(1), 1700}};
  history.observe(kStart + seconds(10), later);
  Outage outage = whole(history, kStart + seconds(10)).outages.at(0);
  CHECK(outage.result == Outage::Result::resumed);
  CHECK(outage.cause == Cause::carrier_silent);
  CHECK(outage.peer == "edge-1");
  CHECK(outage.ended - outage.began == seconds(4));
  CHECK(outage.connections == 3);
  CHECK(outage.resumed == 2);
  CHECK(outage.replayed_bytes == 700);
}

TEST_CASE("what is sent again belongs to the outage before it, not to the next one") {
  History history(kStart);
  history.link_down(kStart + seconds(1), link_id(1), "hub", Cause::carrier_reset, 1, 0);
  history.link_resumed(kStart + seconds(2), link_id(1), 1);
  history.link_down(kStart + seconds(3), link_id(1), "hub", Cause::carrier_reset, 1, 50);
  history.link_resumed(kStart + seconds(4), link_id(1), 1);
  History::Measurement later = reading(0, 0);
  later.links = {{link_id(1), 60}};
  history.observe(kStart + seconds(5), later);
  HistoryView view = whole(history, kStart + seconds(5));
  REQUIRE(view.outages.size() == 2);
  CHECK(view.outages[0].replayed_bytes == 50);
  CHECK(view.outages[1].replayed_bytes == 10);
}

TEST_CASE("lives and outages say which of a client's links they belong to") {
  History history(kStart);
  history.link_up(kStart, link_id(1), "hub", "east");
  history.link_up(kStart, link_id(2), "hub", "west");
  history.link_down(kStart + seconds(5), link_id(2), "hub", Cause::carrier_eof, 3, 0);
  HistoryView view = whole(history, kStart + seconds(6));
  REQUIRE(view.lives.size() == 2);
  CHECK(view.lives[0].name == "east");
  CHECK(view.lives[1].name == "west");
  CHECK(view.outages.at(0).name == "west");
}

TEST_CASE("an outage ends with its link, and the life of the link with its cause") {
  History history(kStart);
  history.link_up(kStart, link_id(1), "hub");
  history.link_down(kStart + seconds(5), link_id(1), "hub", Cause::carrier_eof, 3, 0);
  history.link_ended(kStart + seconds(305), link_id(1), Cause::grace_expired, 0, 0);
  history.link_up(kStart + seconds(400), link_id(2), "hub");
  HistoryView view = whole(history, kStart + seconds(400));
  CHECK(view.lives.at(0).name.empty());
  CHECK(view.outages.at(0).result == Outage::Result::ended);
  CHECK(view.outages.at(0).end_cause == Cause::grace_expired);
  REQUIRE(view.lives.size() == 2);
  CHECK(view.lives[0].ended == kStart + seconds(305));
  CHECK(view.lives[0].cause == Cause::grace_expired);
  CHECK(view.lives[1].ended == kNever);
}

TEST_CASE("an end without a loss makes no outage, and strange orders of events do no harm") {
  History history(kStart);
  history.link_resumed(kStart, link_id(1), 5);
  history.link_ended(kStart, link_id(1), Cause::goodbye, 0, 0);
  history.link_up(kStart, link_id(1), "hub");
  history.link_ended(kStart + seconds(1), link_id(1), Cause::goodbye, 0, 0);
  history.link_resumed(kStart + seconds(2), link_id(1), 5);
  HistoryView view = whole(history, kStart + seconds(2));
  CHECK(view.outages.empty());
  CHECK(view.lives.size() == 1);
}

TEST_CASE("outages, lives and endings are bounded, and links that are there stay") {
  History history(kStart);
  history.link_up(kStart, link_id(0), "long-lived");
  for (int i = 1; i <= 1000; ++i) {
    Time at = kStart + seconds(i);
    LinkId link = link_id(static_cast<std::uint8_t>(1 + i % 200));
    history.link_up(at, link, "hub");
    history.link_down(at, link, "hub", Cause::carrier_reset, 0, 0);
    history.link_ended(at, link, Cause::stale, 0, 0);
    history.connection_closed(ending(Cause::grace_expired, static_cast<std::uint64_t>(i)));
  }
  HistoryView view = whole(history, kStart + seconds(1000));
  CHECK(view.lives.size() == kMostLives);
  CHECK(view.lives.front().peer == "long-lived");
  CHECK(view.outages.size() == kMostOutages);
  REQUIRE(view.endings.size() == kMostEndings);
  CHECK(view.endings.back().stream.value == 1000);
}

TEST_CASE("ends by an application are not kept, texts are cut") {
  History history(kStart);
  for (Cause cause : {Cause::client_fin, Cause::target_fin, Cause::client_rst, Cause::target_rst}) {
    history.connection_closed(ending(cause));
  }
  CHECK(whole(history, kStart).endings.empty());
  Ending killed = ending(Cause::admin_kill);
  killed.client = std::string(5000, 'x');
  history.connection_closed(killed);
  REQUIRE(whole(history, kStart).endings.size() == 1);
  CHECK(whole(history, kStart).endings[0].client.size() == kMostTextBytes);
}

}  // namespace
}  // namespace holdfast
