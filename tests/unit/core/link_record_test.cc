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
    record->bytes[newer.at + 20] ^= 1;
  }
  SECTION("the size") {
    newer.size += 1;
  }
  SECTION("a size beyond all") {
    newer.size = UINT32_MAX;
  }
  SECTION("its place") {
    newer.at += 1;
  }
  SECTION("a place beyond all") {
    newer.at = UINT32_MAX;
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
  for (const LinkRecord::Copy& copy : record->facts) record->bytes[copy.at] ^= 1;
  CHECK(record->read() == std::nullopt);
}

TEST_CASE("whatever their sizes, the two copies do not touch each other") {
  StateRegion region(1 * kMiB, 10, make_plain_memory);
  LinkRecord* record = region.take_link();
  const std::size_t most = LinkRecord::kFactsSize / 32;
  for (std::size_t round = 0; round < 200; ++round) {
    LinkFacts facts = some_facts(round);
    facts.services.resize(round * 7919 % most, {"a service of 20 char", seconds(1), false});
    REQUIRE(record->write(facts));
    auto [first, second] = record->facts;
    if (first.at > second.at) std::swap(first, second);
    CHECK((second.number == 0 || first.at + first.size <= second.at));
    CHECK(second.at + second.size <= record->bytes.size());
    CHECK(record->read() == facts);
  }
}

TEST_CASE("a link of a few services is one page, however often its facts change") {
  StateRegion region(1 * kMiB, 10, make_plain_memory);
  LinkRecord* record = region.take_link();
  auto page = [](const void* address) {  // of a host whose pages are small
    return reinterpret_cast<std::uintptr_t>(address) / (4 * kKiB);
  };
  for (std::uint64_t attempt = 1; attempt <= 50; ++attempt) {
    REQUIRE(record->write(some_facts(attempt)));
    for (const LinkRecord::Copy& copy : record->facts) {
      CHECK(page(record->bytes.data() + copy.at + copy.size) == page(record));
    }
  }
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
