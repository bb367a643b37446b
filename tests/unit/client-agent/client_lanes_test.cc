#include "client-agent/client_lanes.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

std::optional<std::size_t> nowhere(const std::string&) {
  return std::nullopt;
}

std::vector<ClientLinkOptions> hub(LaneRange lanes) {
  std::vector<ClientLinkOptions> links;
  ClientLinkOptions& one = links.emplace_back();
  one.name = one.group = "hub";
  one.link.slot = 0x70;
  one.lanes = lanes;
  return links;
}

using Names = std::vector<std::string>;

std::vector<Names> names(const LinkSpread& spread) {
  std::vector<Names> all;
  for (const auto& loop : spread) {
    all.emplace_back();
    for (const auto& link : loop) all.back().push_back(link.name);
  }
  return all;
}

TEST_CASE("A link has its first lanes at once, and further ones in slots of their own") {
  ClientLanes lanes(1);
  CHECK(names(lanes.spread(hub({2, 4}), nowhere)) == std::vector<Names>{{"hub", "hub#2"}});
  auto third = lanes.open("hub", Time{});
  REQUIRE(third);
  CHECK(third->options.name == "hub#3");
  CHECK(third->options.group == "hub");
  CHECK(third->options.link.slot == 0x72);
  CHECK(lanes.open("hub", Time{})->options.link.slot == 0x73);
  CHECK_FALSE(lanes.open("hub", Time{}));
  CHECK_FALSE(lanes.open("other", Time{}));
  CHECK(lanes.count("hub") == 4);
}

TEST_CASE("A lane that retires leaves room for another one, which is not in its slot") {
  ClientLanes lanes(1);
  lanes.spread(hub({1, 2}), nowhere);
  REQUIRE(lanes.open("hub", Time{}));
  lanes.retire("hub#2");
  CHECK(lanes.open("hub", Time{})->options.name == "hub#3");
  // The server was not told: it may have it for its grace.
  lanes.over("hub", 1, Time(seconds(300)));
  lanes.retire("hub#3");
  CHECK(lanes.open("hub", Time(seconds(10)))->options.name == "hub#4");
  lanes.retire("hub#4");
  CHECK(lanes.open("hub", Time(seconds(301)))->options.name == "hub#2");
}

TEST_CASE("Lanes go where their link has the fewest, and the first loop last") {
  ClientLanes lanes(3);
  CHECK(names(lanes.spread(hub({1, 8}), nowhere)) == std::vector<Names>{{}, {}, {"hub"}});
  std::vector<std::size_t> loops;
  for (int i = 0; i < 4; ++i) loops.push_back(lanes.open("hub", Time{})->loop);
  CHECK(loops == std::vector<std::size_t>{1, 0, 2, 1});
}

TEST_CASE("A reload keeps the lanes that were opened, as long as there may be so many") {
  ClientLanes lanes(2);
  lanes.spread(hub({1, 4}), nowhere);  // on the last loop
  REQUIRE(lanes.open("hub", Time{})->loop == 0);
  REQUIRE(lanes.open("hub", Time{})->loop == 1);
  lanes.retire("hub#3");
  auto where = [](const std::string& name) -> std::optional<std::size_t> {
    return name == "hub#2" ? 0 : 1;
  };
  CHECK(names(lanes.spread(hub({1, 4}), where)) == std::vector<Names>{{"hub#2"}, {"hub"}});
  CHECK(lanes.count("hub") == 2);
  CHECK(names(lanes.spread(hub({1, 1}), where)) == std::vector<Names>{{}, {"hub"}});
  CHECK(lanes.count("hub") == 1);
  CHECK_FALSE(lanes.open("hub", Time{}));
}

}  // namespace
TEST_CASE(
    "What comes in place of a first lane stays like one, and a further lane stays a further one") {
  ClientLanes lanes(1);
  lanes.spread(hub({1, 4}), nowhere);
  REQUIRE(lanes.open("hub", Time{}));
  auto instead = lanes.replace("hub", Time{});
  REQUIRE(instead);
  CHECK(instead->options.name == "hub#3");
  CHECK(instead->options.lanes.first == 3);
  auto again = lanes.replace("hub#3", Time{});
  REQUIRE(again);
  CHECK(again->options.lanes.first == 4);
  auto further = lanes.replace("hub#2", Time{});
  REQUIRE(further);
  CHECK(further->options.lanes.first == 1);
  CHECK_FALSE(lanes.replace("hub#2", Time{}));
}

}  // namespace holdfast
