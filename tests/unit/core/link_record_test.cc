#include "common/core/link_record.h"

#include "common/core/state_region.h"
#include "tests/catch.h"

namespace holdfast {
namespace {

LinkFacts some_facts(std::uint64_t attempt) {
  LinkFacts facts;
  facts.id.bytes[3] = 7;
  facts.instance = 12;
  facts.attempt = attempt;
  facts.ordinal = 3;
  facts.start_id = 99;
  facts.slot = 5;
  facts.client = "edge-1";
  facts.server = "gate";
  facts.grace = seconds(300);
  facts.heartbeat = seconds(1);
  facts.dead_after = seconds(15);
  facts.initial_credit = 4096;
  facts.peer_max_streams = 1000;
  facts.services = {{"echo", seconds(10), false}, {"*", seconds(20), true}};
  return facts;
}

}  // namespace

TEST_CASE("a link's facts are read back as they were written last") {
  StateRegion region(1 * kMiB, 10, make_plain_memory);
  LinkRecord* record = region.take_link();
  CHECK(record->read() == std::nullopt);
  for (std::uint64_t attempt = 1; attempt <= 5; ++attempt) {
    REQUIRE(record->write(some_facts(attempt)));
    CHECK(record->read() == some_facts(attempt));
  }
}

TEST_CASE("facts that were torn, or damaged, fall back to those before") {
  StateRegion region(1 * kMiB, 10, make_plain_memory);
  LinkRecord* record = region.take_link();
  REQUIRE(record->write(some_facts(1)));
  REQUIRE(record->write(some_facts(2)));
  LinkRecord::Copy& newer = record->facts[0].number == 2 ? record->facts[0] : record->facts[1];
  SECTION("a byte") {
    newer.bytes[20] ^= 1;
  }
  SECTION("the size") {
    newer.size += 1;
  }
  SECTION("a size beyond all") {
    newer.size = UINT32_MAX;
  }
  SECTION("the number was not stored yet") {
    newer.number = 0;
  }
  CHECK(record->read() == some_facts(1));
  // What is written next replaces the broken one.
  REQUIRE(record->write(some_facts(3)));
  CHECK(record->read() == some_facts(3));
}

TEST_CASE("with both copies broken there are no facts") {
  StateRegion region(1 * kMiB, 10, make_plain_memory);
  LinkRecord* record = region.take_link();
  REQUIRE(record->write(some_facts(1)));
  REQUIRE(record->write(some_facts(2)));
  for (LinkRecord::Copy& copy : record->facts) copy.bytes[0] ^= 1;
  CHECK(record->read() == std::nullopt);
}

TEST_CASE("facts that have no room leave no link behind") {
  StateRegion region(1 * kMiB, 10, make_plain_memory);
  LinkRecord* record = region.take_link();
  record->life = LinkRecord::Life::lives;
  LinkFacts facts = some_facts(1);
  facts.services.resize(2000, {"a service", seconds(1), false});
  CHECK_FALSE(record->write(facts));
  CHECK(record->life == LinkRecord::Life::none);
}

TEST_CASE("a link's place is blank again when it is taken anew") {
  StateRegion region(1 * kMiB, 10, make_plain_memory);
  LinkRecord* record = region.take_link();
  REQUIRE(record->write(some_facts(1)));
  record->attempt = 9;
  region.give_back(record);
  REQUIRE(region.take_link() == record);
  CHECK(record->read() == std::nullopt);
  CHECK(record->attempt == 0);
}

TEST_CASE("who comes when all places are taken has one elsewhere") {
  StateRegion region(1 * kMiB, 10, make_plain_memory);
  while (region.take_link() != nullptr) {
  }
  LinkPlace place(region);
  CHECK(place.index() == kNoLink);
  CHECK(place->write(some_facts(1)));
}

}  // namespace holdfast
