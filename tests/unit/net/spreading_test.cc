// Which loop has which link, at either end.
#include "common/net/link_spread.h"
#include "common/net/server_commons.h"
#include "tests/unit/net/support.h"

namespace holdfast {
namespace {

std::vector<ClientLinkOptions> links(const std::vector<std::pair<std::string, std::string>>& all) {
  std::vector<ClientLinkOptions> options;
  for (const auto& [group, name] : all) {
    options.emplace_back();
    options.back().group = group;
    options.back().name = name;
  }
  return options;
}

std::vector<std::vector<std::string>> names(const LinkSpread& spread) {
  std::vector<std::vector<std::string>> all;
  for (const auto& loop : spread) {
    all.emplace_back();
    for (const auto& link : loop) all.back().push_back(link.name);
  }
  return all;
}

std::optional<std::size_t> nowhere(const std::string&) {
  return std::nullopt;
}

using Names = std::vector<std::vector<std::string>>;

TEST_CASE("Parallel links are spread over all loops, and a lone one is not on the first") {
  CHECK(names(spread_links(links({{"a", "a"}}), 1, nowhere)) == Names{{"a"}});
  CHECK(names(spread_links(links({{"a", "a"}}), 3, nowhere)) == Names{{}, {}, {"a"}});
  CHECK(names(spread_links(links({{"a", "a"}, {"a", "a#2"}, {"a", "a#3"}, {"a", "a#4"}}), 3,
                           nowhere)) == Names{{"a#3"}, {"a#2"}, {"a", "a#4"}});
  // Two groups, each over both loops.
  CHECK(names(spread_links(links({{"a", "a"}, {"a", "a#2"}, {"b", "b"}, {"b", "b#2"}}), 2,
                           nowhere)) == Names{{"a#2", "b#2"}, {"a", "b"}});
}

TEST_CASE("After a reload a link stays on its loop, whatever comes and goes beside it") {
  auto where = [](const std::string& name) -> std::optional<std::size_t> {
    if (name == "a") return 1;
    if (name == "c") return 1;
    return std::nullopt;
  };
  CHECK(names(spread_links(links({{"a", "a"}, {"b", "b"}, {"c", "c"}, {"d", "d"}}), 2, where)) ==
        Names{{"b", "d"}, {"a", "c"}});
}

TEST_CASE("What is counted is shared out whole, and nobody gets nothing") {
  CHECK(part_of(10, 1, 0) == 10);
  CHECK((part_of(10, 3, 0) == 4 && part_of(10, 3, 1) == 3 && part_of(10, 3, 2) == 3));
  CHECK(part_of(1, 2, 1) == 1);
}

TEST_CASE("A server's loop keeps a client's slot while anything of it is there") {
  ServerCommons commons(2, 100);
  auto first = commons.place("edge", 0);
  CHECK(first.loop() == 1);  // the first loop has enough to do
  auto second = commons.place("edge", 5);
  CHECK(second.loop() == 0);
  {
    auto again = std::make_unique<ServerCommons::Place>(commons.place("edge", 0));
    CHECK(again->loop() == 1);
  }
  CHECK(commons.place("edge", 0).loop() == 1);
  // Others' links count only among equals.
  auto other = commons.place("far", 0);
  CHECK(other.loop() == 1);
  auto third = commons.place("edge", 6);
  CHECK(third.loop() == 0);
  ServerCommons::Place moved = std::move(other);
  CHECK(moved.loop() == 1);
}

TEST_CASE("A slot that nobody holds is placed anew") {
  ServerCommons commons(2, 100);
  auto held = commons.place("edge", 1);
  CHECK(held.loop() == 1);
  CHECK(commons.place("edge", 2).loop() == 0);  // and let go
  auto next = commons.place("edge", 3);
  CHECK(next.loop() == 0);
  CHECK(commons.place("edge", 2).loop() == 1);
}

TEST_CASE("A client's links are counted over all loops") {
  ServerCommons commons(2, 100);
  CHECK(commons.take("edge", 0, 2));
  CHECK(commons.take("edge", 16, 2));
  CHECK_FALSE(commons.take("edge", 32, 2));
  CHECK(commons.take("far", 0, 1));
  commons.give_back("edge", 0);
  CHECK(commons.take("edge", 32, 2));
}

TEST_CASE("The lanes of a link are counted as one, until the last is gone") {
  ServerCommons commons(2, 100);
  CHECK(commons.take("edge", 16, 1));
  CHECK(commons.take("edge", 17, 1));
  CHECK(commons.take("edge", 31, 1));
  CHECK_FALSE(commons.take("edge", 32, 1));
  commons.give_back("edge", 16);
  commons.give_back("edge", 31);
  CHECK_FALSE(commons.take("edge", 0, 1));
  commons.give_back("edge", 17);
  CHECK(commons.take("edge", 0, 1));
}

TEST_CASE("A source is known while a link of it is") {
  ServerCommons commons(1, 100);
  LinkId id;
  id.bytes[0] = 1;
  commons.note_source(id, "192.0.2.1");
  CHECK(commons.known_at("192.0.2.1"));
  commons.note_source(id, "192.0.2.2");
  CHECK_FALSE(commons.known_at("192.0.2.1"));
  commons.forget(id);
  CHECK_FALSE(commons.known_at("192.0.2.2"));
}

}  // namespace
}  // namespace holdfast
