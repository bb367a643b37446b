#include "common/admin/render.h"

#include <catch2/catch.hpp>

#include "common/admin/units_text.h"
#include "tests/unit/admin/fixtures.h"

namespace holdfast {
namespace {

bool mentions(const std::string& text, const std::string& word) {
  return text.find(word) != std::string::npos;
}

TEST_CASE("durations are short and readable") {
  CHECK(show_duration(Duration(0)) == "0s");
  CHECK(show_duration(seconds(-5)) == "0s");
  CHECK(show_duration(microseconds(24100)) == "24.1ms");
  CHECK(show_duration(milliseconds(850)) == "0.8s");
  CHECK(show_duration(seconds(59)) == "59s");
  CHECK(show_duration(seconds(192)) == "3m12s");
  CHECK(show_duration(seconds(7500)) == "2h05m");
  CHECK(show_duration(seconds(86400 * 4 + 3 * 3600)) == "4d3h");
}

TEST_CASE("sizes are short and readable") {
  CHECK(show_bytes(0) == "0 B");
  CHECK(show_bytes(1023) == "1023 B");
  CHECK(show_bytes(1024) == "1.0 KiB");
  CHECK(show_bytes(1258291) == "1.2 MiB");
  CHECK(show_bytes(1024 * 1024 - 1) == "1.0 MiB");
  CHECK(show_bytes(UINT64_MAX) == "16.0 EiB");
}

TEST_CASE("the status of a live link is a few plain lines") {
  CHECK(render_status(sample_snapshot(), {}) ==
        "holdfast-client edge-1 0.1.0, pid 4711, up 1h02m, config /etc/holdfast/client.toml\n"
        "ready\n"
        "link home: live for 3m12s, round trip 24.1ms, carrier 198.51.100.10:7443, "
        "3 connections\n"
        "connections: 3 of at most 10000 (2 open, 1 closing)\n"
        "since the start: 2 reconnects, 34s of outage, 0 B replayed\n"
        "send log: 1.2 MiB of at most 128.0 MiB\n");
}

TEST_CASE("the status of a lost link says what is safe for how long, and why it is down") {
  AgentSnapshot snapshot = sample_snapshot();
  lose_link(snapshot);
  snapshot.reason = not_ready_reason(snapshot);
  std::string text = render_status(snapshot, {});
  CHECK(mentions(text, "not ready: link down for 12s: 3 connections are safe for 4m48s more\n"));
  CHECK(mentions(text,
                 "link home: detached for 12s, 3 connections, all safe for 4m48s more "
                 "(connection refused by 198.51.100.10:7443)\n"));
}

TEST_CASE("one connection is told in the singular") {
  AgentSnapshot snapshot = sample_snapshot();
  lose_link(snapshot);
  snapshot.links.front().connections = 1;
  CHECK(not_ready_reason(snapshot) == "link down for 12s: 1 connection is safe for 4m48s more");
}

TEST_CASE("tables are aligned, numbers to the right") {
  ConnectionSnapshot longer = sample_connection();
  longer.id = "3fa9c1d2-1234567";
  longer.bytes_up = 5;
  CHECK(render_connections({sample_connection(), longer}, {}) ==
        "ID                SERVICE  PEER  CLIENT           TARGET  STATE   UP     DOWN  UNACKED  "
        "QUEUED    AGE  DETACHED  RESUMES\n"
        "3fa9c1d2-17       web      home  127.0.0.1:41234  -       open   8 B  1.2 MiB      0 B  "
        "   0 B  1m01s      1.5s        2\n"
        "3fa9c1d2-1234567  web      home  127.0.0.1:41234  -       open   5 B  1.2 MiB      0 B  "
        "   0 B  1m01s      1.5s        2\n");
}

TEST_CASE("empty tables say so") {
  CHECK(render_connections({}, {}) == "no connection\n");
  CHECK(render_links({}, {}) == "no link\n");
}

TEST_CASE("colour appears only when asked for") {
  CHECK_FALSE(mentions(render_status(sample_snapshot(), {}), "\033"));
  CHECK(mentions(render_status(sample_snapshot(), {true}), "\033[32mlive\033[0m"));
}

TEST_CASE("control characters never reach the terminal") {
  AgentSnapshot snapshot = sample_snapshot();
  lose_link(snapshot);
  snapshot.links.front().last_error = "\033]0;owned\a\n";
  CHECK_FALSE(mentions(render_status(snapshot, {}), "\033"));
  ConnectionSnapshot connection = sample_connection();
  connection.client = "\033[2J";
  CHECK_FALSE(mentions(render_connections({connection}, {}), "\033"));
}

}  // namespace
}  // namespace holdfast
