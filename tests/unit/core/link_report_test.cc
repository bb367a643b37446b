// What a link tells of its streams: sums, walks in parts, why one is paused.
#include <set>

#include "tests/unit/core/link_pair.h"

namespace holdfast::test {
namespace {

StreamSummary summary_of(const LinkPair& pair, std::uint64_t id) {
  auto summary = pair.client.link->find_stream(pair.now(), StreamId{id}, nullptr);
  REQUIRE(summary.has_value());
  return *summary;
}

TEST_CASE("why a stream is paused has a name for each reason") {
  CHECK(to_string(Pause::none) == "none");
  CHECK(to_string(Pause::credit) == "credit");
  CHECK(to_string(Pause::memory) == "memory");
}

TEST_CASE("a link's sums by service are those of its streams") {
  LinkPair pair;
  auto first = pair.open(), second = pair.open(1), third = pair.open(1);
  pair.client.write(first, "12345");
  pair.run_for(milliseconds(100));
  pair.server.write(first, "123");
  pair.client.write(second, "1");
  pair.client.finish(third);
  pair.run_for(milliseconds(100));
  auto tallies = pair.client.link->tally();
  REQUIRE(tallies.size() == 2);
  CHECK(tallies[0].open == 1);
  CHECK(tallies[0].sent_bytes == 5);
  CHECK(tallies[0].received_bytes == 3);
  CHECK(tallies[1].open == 1);
  CHECK(tallies[1].closing == 1);
  CHECK(tallies[1].sent_bytes == 1);
  CHECK(pair.link_of_server().tally()[0].received_bytes == 5);
}

TEST_CASE("a stream's time without a carrier is summed, the present one with it") {
  LinkPair pair;
  auto id = pair.open();
  pair.run_for(seconds(1));
  CHECK(summary_of(pair, id).detached == Duration{});
  for (int outage = 1; outage <= 2; ++outage) {
    pair.reachable = false;
    pair.cut();
    pair.run_for(seconds(3));
    auto meanwhile = pair.open();
    CHECK(summary_of(pair, id).detached >= outage * seconds(3));
    CHECK(summary_of(pair, id).detached < outage * seconds(4));
    pair.reachable = true;
    pair.run_for(seconds(5));
    CHECK(summary_of(pair, id).detached < outage * seconds(4));
    CHECK(summary_of(pair, meanwhile).resumes == 0);
    pair.client.abort(meanwhile);
    CHECK(summary_of(pair, id).resumes == static_cast<std::uint32_t>(outage));
    auto at_server = pair.link_of_server().find_stream(pair.now(), StreamId{id}, nullptr);
    REQUIRE(at_server);
    CHECK(at_server->resumes == static_cast<std::uint32_t>(outage));
  }
}

TEST_CASE("sums tell streams that wait from those that are open") {
  LinkPair pair;
  pair.reachable = false;
  pair.open();
  pair.run_for(milliseconds(100));
  CHECK(pair.client.link->tally()[0].waiting == 1);
  pair.reachable = true;
  pair.run_for(seconds(1));
  CHECK(pair.client.link->tally()[0].waiting == 0);
  CHECK(pair.client.link->tally()[0].open == 1);
}

TEST_CASE("bytes written again are summed") {
  LinkPair pair;
  auto id = pair.open();
  pair.run_for(milliseconds(100));
  pair.silent_to_server = true;
  pair.client.write(id, "lost on its way");
  pair.run_for(milliseconds(100));
  pair.cut();
  pair.silent_to_server = false;
  pair.run_for(seconds(2));
  CHECK(pair.server.app(id).received == "lost on its way");
  CHECK(pair.client.link->tally()[0].replayed_bytes == 15);
}

TEST_CASE(
    "a walk in parts meets every stream that lives throughout once, whatever comes and goes") {
  LinkPair pair;
  std::set<std::uint64_t> lasting;
  std::vector<std::uint64_t> leaving;
  for (int i = 0; i < 40; ++i) {
    (i % 3 == 0 ? (void)leaving.push_back(pair.open()) : (void)lasting.insert(pair.open()));
  }
  pair.run_for(milliseconds(100));
  std::multiset<std::uint64_t> met;
  SlotIndex from = 0;
  std::size_t parts = 0;
  while (from != kNoSlot) {
    from = pair.client.link->for_some_streams(
        pair.now(), from, 7,
        [&](StreamHandle stream, const StreamSummary&) { met.insert(stream.id.value); });
    ++parts;
    if (!leaving.empty()) {
      pair.client.abort(leaving.back());
      leaving.pop_back();
    }
    if (parts < 10) pair.open();
    pair.run_for(milliseconds(50));
  }
  for (std::uint64_t id : lasting) CHECK(met.count(id) == 1);
  CHECK(parts >= 6);
  CHECK(pair.client.link->for_some_streams(
            pair.now(), 100000, 7, [](auto, const auto&) { FAIL("beyond the end"); }) == kNoSlot);
}

TEST_CASE("a paused stream says for want of what, and one that runs says nothing") {
  LinkPair::Options options;
  SECTION("credit: the far application does not read") {
    LinkPair pair(options);
    pair.server.appetite = 0;
    auto id = pair.open();
    pair.client.write(id, "x");
    pair.run_for(milliseconds(100));
    CHECK(summary_of(pair, id).pause == Pause::none);
    pair.client.write(id, std::string(8 * kMiB, 'x'));
    pair.run_for(seconds(1));
    CHECK(summary_of(pair, id).pause == Pause::credit);
    pair.server.eat(id, UINT64_MAX);
    pair.run_for(seconds(1));
    CHECK(summary_of(pair, id).pause == Pause::none);
  }
  SECTION("memory: others have it") {
    options.memory = 2 * kMiB;
    LinkPair pair(options);
    pair.server.appetite = 0;
    std::set<Pause> told;
    for (int i = 0; i < 20; ++i) {
      auto id = pair.open();
      pair.run_for(milliseconds(20));
      pair.client.write(id, std::string(kMiB, 'x'));
      pair.run_for(milliseconds(20));
      told.insert(summary_of(pair, id).pause);
    }
    CHECK(told.count(Pause::memory) + told.count(Pause::credit) == told.size());
    CHECK(pair.client.link->counters().pauses_memory + pair.client.link->counters().pauses_credit >=
          20);
  }
}

TEST_CASE("a stream is idle since its last byte, either way") {
  LinkPair pair;
  auto id = pair.open();
  pair.run_for(seconds(5));
  CHECK(summary_of(pair, id).idle == summary_of(pair, id).age);
  pair.client.write(id, "x");
  pair.run_for(seconds(3));
  CHECK(summary_of(pair, id).idle == seconds(3));
  pair.server.write(id, "y");
  pair.run_for(seconds(2));
  CHECK(summary_of(pair, id).idle == seconds(2));
}

}  // namespace
}  // namespace holdfast::test
