// The replayer itself: a record that was altered is found out, and where.
#include "tests/catch.h"
#include "tests/record/replayer.h"
#include "tests/record/shard.h"
#include "tests/source_folder.h"

namespace holdfast::record {
namespace {

std::size_t column(Call call, std::size_t place) {
  return static_cast<std::size_t>(call) * kPlaces + place;
}

// One seed of those in the tree.
SeedRecord a_record() {
  auto shard = load_shard(test::source_folder() / "tests/record/links/0001.rec");
  REQUIRE(shard);
  REQUIRE(shard->size() > 10);
  return *(*shard)[7];
}

std::optional<Divergence> replayed(SeedRecord& record) {
  return Replayer(record).run();
}

TEST_CASE("A record replays, as often as one likes") {
  SeedRecord record = a_record();
  CHECK(record.steps > 500);
  CHECK_FALSE(replayed(record));
  CHECK_FALSE(replayed(record));
}

TEST_CASE("A byte of the digest that differs names seed, link, step and call") {
  SeedRecord record = a_record();
  auto& checks = record.columns[kCheckColumn];
  checks[checks.size() / 2] ^= 0x10U;
  auto divergence = replayed(record);
  REQUIRE(divergence);
  CHECK(divergence->seed == record.seed);
  CHECK(divergence->step > record.steps / 10);
  CHECK(divergence->step < record.steps);
  CHECK_THAT(divergence->describe(), ContainsSubstring("the digest differs; it is of"));
  CHECK_THAT(divergence->describe(), ContainsSubstring("next_timeout="));
  CHECK_THAT(divergence->describe(), StartsWith("seed " + std::to_string(record.seed)));
}

TEST_CASE("Another effect than the recorded one is told as such") {
  SeedRecord record = a_record();
  auto& effects = record.columns[column(Call::poll_effect, 0)];
  auto one = std::find_if(effects.rbegin(), effects.rend(), [](auto each) { return each != 0; });
  REQUIRE(one != effects.rend());
  std::string now = std::to_string(*one);
  *one = static_cast<std::uint8_t>(*one == 1 ? 2 : 1);
  auto divergence = replayed(record);
  REQUIRE(divergence);
  CHECK(divergence->call == Call::poll_effect);
  CHECK_THAT(divergence->what, ContainsSubstring("effect"));
  CHECK_THAT(divergence->what, ContainsSubstring(", now " + now));
}

TEST_CASE("An input that differs shows in what follows") {
  SeedRecord record = a_record();
  // The round trip that a carrier's set-up showed.
  auto& round_trips = record.columns[column(Call::carrier_up, 1)];
  REQUIRE(!round_trips.empty());
  round_trips[0] ^= 0x04U;
  auto divergence = replayed(record);
  REQUIRE(divergence);
  CHECK(divergence->step < record.steps);
}

TEST_CASE("A record cut short, or of unknown calls, is told as such") {
  SeedRecord record = a_record();
  record.columns[kCheckColumn].resize(20);
  auto cut = replayed(record);
  REQUIRE(cut);
  CHECK(cut->what == "the record ends here");

  record = a_record();
  record.columns[kCheckColumn - 3][5] = 0xff;
  auto unknown = replayed(record);
  REQUIRE(unknown);
  CHECK_THAT(unknown->what, ContainsSubstring("no call has this number"));
}

TEST_CASE("A file that is no record is refused") {
  CHECK_FALSE(load_shard("/dev/null"));
  CHECK_FALSE(load_shard("/nonexistent/record"));
}

}  // namespace
}  // namespace holdfast::record
