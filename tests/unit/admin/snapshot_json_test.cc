#include "common/admin/snapshot_json.h"

#include "tests/catch.h"
#include "tests/unit/fixtures.h"

namespace holdfast {
namespace {

TEST_CASE("a status comes back as it was sent") {
  AgentSnapshot sent = sample_snapshot();
  sent.totals.carriers_refused = {{Cause::auth, 7}};
  sent.totals.paused_memory = 3;
  auto got = parse_status(status_json(sent));
  REQUIRE(got.ok());
  CHECK(status_json(*got) == status_json(sent));
  CHECK(got->started_at_ms == sent.started_at_ms);
  CHECK(got->links.front().rtt == sent.links.front().rtt);
  CHECK(got->services["web"].closed == sent.services["web"].closed);
  CHECK(got->totals.carriers_refused == sent.totals.carriers_refused);
}

TEST_CASE("a service's health comes back as it was sent") {
  AgentSnapshot sent = sample_snapshot();
  sent.services["web"].granted = true;
  sent.services["web"].target = Cause::none;
  sent.services["web"].target_age = seconds(2);
  sent.services["db"].granted = false;
  sent.services["db"].target = Cause::target_refused;
  auto got = parse_status(status_json(sent));
  REQUIRE(got.ok());
  CHECK(status_json(*got) == status_json(sent));
  CHECK(got->services["web"].target == Cause::none);
  CHECK(got->services["web"].target_age == Duration(seconds(2)));
  CHECK(got->services["db"].granted == false);
  CHECK(got->services["db"].target == Cause::target_refused);
}

TEST_CASE("connections come back as they were sent") {
  std::string text = connections_json({sample_connection(), sample_connection()});
  auto got = parse_connections(text);
  REQUIRE(got.ok());
  REQUIRE(got->size() == 2);
  CHECK(connections_json(*got) == text);
  CHECK(got->front().opened_at_ms == sample_connection().opened_at_ms);
}

TEST_CASE("a connection's members are named as the log's fields") {
  std::string text = connections_json({sample_connection()});
  CHECK(text ==
        "[\n {\"id\":\"3fa9c1d2-17\",\"link\":\"3fa9c1d2000000000000000000000001\","
        "\"service\":\"web\",\"peer\":\"home\","
        "\"client\":\"127.0.0.1:41234\",\"destination\":\"\",\"target\":\"\",\"state\":\"open\","
        "\"client_end\":\"open\",\"target_end\":\"open\",\"bytes_up\":8,"
        "\"bytes_down\":1258291,\"unacked_bytes\":0,\"queued_bytes\":0,\"window_bytes\":0,"
        "\"paused\":false,\"pause_reason\":\"none\",\"duration_s\":61.0,\"idle_s\":0.0,\"detached_"
        "s\":1.5,\"resumes\":2,"
        "\"replayed_bytes\":4096,\"opened_at\":\"2026-01-01T00:00:00.000000Z\","
        "\"keepalive_s\":0.0,\"idle_timeout_s\":null,\"half_close_timeout_s\":null,"
        "\"grace_s\":0.0,\"grace_remaining_s\":null}\n]\n");
}

TEST_CASE("no connections are an empty array") {
  CHECK(connections_json({}) == "[]\n");
}

TEST_CASE("unknown members are skipped and missing ones take their defaults") {
  auto got = parse_status(R"({"name":"x","from_the_future":[1,{}]})");
  REQUIRE(got.ok());
  CHECK(got->name == "x");
  CHECK(got->links.empty());
}

TEST_CASE("what is not a status is an error and no crash") {
  for (const char* text : {"", "[", "null", "[]", "7", R"({"name":7})", R"({"links":7})",
                           R"({"links":[7]})", R"({"totals":{"reconnects":{"x":"y"}}})"}) {
    CHECK_FALSE(parse_status(text).ok());
  }
  CHECK_FALSE(parse_connections("{}").ok());
  CHECK_FALSE(parse_connections("[7]").ok());
  CHECK(parse_message("nonsense").empty());
}

TEST_CASE("broken UTF-8 from the network makes no broken JSON") {
  AgentSnapshot snapshot = sample_snapshot();
  snapshot.links.front().last_error = "\xff\n";
  CHECK(parse_status(status_json(snapshot)).ok());
}

TEST_CASE("readiness says what is safe for how long") {
  AgentSnapshot snapshot = sample_snapshot();
  lose_link(snapshot);
  CHECK(ready_json(snapshot) ==
        "{\"ready\":false,\"state\":\"link_down\",\"reason\":\"link down for 12s: 3 connections "
        "are safe for 4m48s "
        "more\",\"draining\":false,\"links_up\":0,\"links_down\":1,\"connections\":3,\"connections_"
        "safe\":3,"
        "\"safe_for_s\":288.0}\n");
}

}  // namespace
}  // namespace holdfast
