// Which loop has which link.
#include "client-agent/link_spread.h"

#include "tests/catch.h"

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

}  // namespace
}  // namespace holdfast
