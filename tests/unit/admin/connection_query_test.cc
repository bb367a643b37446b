#include "common/admin/connection_query.h"

#include "tests/catch.h"
#include "tests/unit/fixtures.h"

namespace holdfast {
namespace {

ConnectionSnapshot connection(int number, std::uint64_t bytes) {
  ConnectionSnapshot one = sample_connection();
  one.id = "3fa9c1d2-" + std::to_string(number);
  one.bytes_up = bytes;
  one.bytes_down = 0;
  return one;
}

std::vector<std::string> ids(const std::vector<ConnectionSnapshot>& connections) {
  std::vector<std::string> out;
  for (const ConnectionSnapshot& one : connections) out.push_back(one.id.substr(9));
  return out;
}

using Ids = std::vector<std::string>;

TEST_CASE("without a wish connections come in the order of their opening") {
  CHECK(ids(chosen({connection(10, 1), connection(9, 2), connection(1, 3)}, {})) ==
        Ids{"1", "9", "10"});
}

TEST_CASE("sorting puts the largest first, and equals in the order of their opening") {
  ConnectionQuery query;
  query.sort = ConnectionSort::bytes;
  CHECK(ids(chosen({connection(3, 5), connection(2, 5), connection(1, 1), connection(4, 9)},
                   query)) == Ids{"4", "2", "3", "1"});
  query.limit = 2;
  CHECK(ids(chosen({connection(3, 5), connection(2, 5), connection(1, 1), connection(4, 9)},
                   query)) == Ids{"4", "2"});
}

TEST_CASE("every key sorts by what it names") {
  ConnectionSnapshot small = connection(1, 0), large = connection(2, 0);
  auto first = [&](ConnectionSort sort) {
    ConnectionQuery query;
    query.sort = sort;
    return ids(chosen({small, large}, query)).front();
  };
  CHECK(first(ConnectionSort::opened) == "1");
  large.duration = seconds(1000);
  CHECK(first(ConnectionSort::age) == "2");
  large.idle = seconds(5);
  CHECK(first(ConnectionSort::idle) == "2");
  large.bytes_up = 1;
  CHECK(first(ConnectionSort::up) == "2");
  small.bytes_down = 2;
  CHECK(first(ConnectionSort::down) == "1");
  CHECK(first(ConnectionSort::bytes) == "1");
  large.unacked_bytes = 1;
  CHECK(first(ConnectionSort::unacked) == "2");
  large.queued_bytes = 1;
  CHECK(first(ConnectionSort::queued) == "2");
  large.replayed_bytes += 1;
  CHECK(first(ConnectionSort::replayed) == "2");
  large.detached += seconds(1);
  CHECK(first(ConnectionSort::detached) == "2");
  large.resumes += 1;
  CHECK(first(ConnectionSort::resumes) == "2");
}

TEST_CASE("filters leave what fits all of them") {
  ConnectionSnapshot web = connection(1, 0), other = connection(2, 0), lost = connection(3, 0);
  other.service = "ssh";
  other.client = "192.0.2.7:5000";
  lost.state = ConnectionState::detached;
  std::vector<ConnectionSnapshot> all = {web, other, lost};
  ConnectionQuery query;
  query.service = "web";
  CHECK(ids(chosen(all, query)) == Ids{"1", "3"});
  query.state = ConnectionState::detached;
  CHECK(ids(chosen(all, query)) == Ids{"3"});
  query = {};
  query.client = "192.0.2";
  CHECK(ids(chosen(all, query)) == Ids{"2"});
  query.client = "home";  // the peer's name
  CHECK(ids(chosen(all, query)).size() == 3);
  query.client = "nobody";
  CHECK(chosen(all, query).empty());
}

TEST_CASE("a query survives its way through the query string's words") {
  ConnectionQuery query{"my web", ConnectionState::detached, "10.0.0.", ConnectionSort::idle, 20};
  auto back = parse_connection_query(words_of(query));
  REQUIRE(back.ok());
  CHECK(*back == query);
  CHECK(query_string(query) ==
        "?client=10.0.0.&limit=20&service=my%20web&sort=idle&state=detached");
  CHECK(query_string({}).empty());
}

TEST_CASE("unknown words are named with the nearest known one") {
  auto reason = [](const QueryWords& words) {
    auto query = parse_connection_query(words);
    return query ? "" : query.error().message;
  };
  CHECK(reason({{"state", "opne"}}) == "unknown state \"opne\"; did you mean \"open\"?");
  CHECK(reason({{"sort", "bites"}}) == "unknown sort key \"bites\"; did you mean \"bytes\"?");
  CHECK(reason({{"state", "purple"}}) ==
        "unknown state \"purple\"; known: opening, open, closing, detached");
  for (const char* limit : {"0", "-1", "ten", "3x", "99999999999999999999999"}) {
    CHECK(reason({{"limit", limit}}) ==
          "the limit \"" + std::string(limit) + "\" is no number of rows; write 20, say");
  }
  ConnectionQuery query;
  query.service = "postgers";
  CHECK(unknown_service(query, {{"postgres", {}}, {"web", {}}}) ==
        "unknown service \"postgers\"; did you mean \"postgres\"?");
  query.service = "web";
  CHECK(unknown_service(query, {{"web", {}}}).empty());
}

}  // namespace
}  // namespace holdfast
