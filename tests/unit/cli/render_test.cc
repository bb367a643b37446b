#include "common/cli/render.h"

#include "common/log/units_text.h"
#include "tests/catch.h"
#include "tests/unit/fixtures.h"

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
        "service web: not asked for yet\n"
        "connections: 3 of at most 10000 (2 open, 1 closing)\n"
        "since the start: 2 reconnects, 34s of outage, 0 B replayed\n"
        "send log: 1.2 MiB of at most 128.0 MiB\n");
}

TEST_CASE("a service is told as granted or not, with its target's last answer") {
  ServiceCounters service;
  CHECK(service_health(service) == "not asked for yet");
  service.granted = true;
  service.target = Cause::none;
  service.target_age = seconds(3);
  CHECK(service_health(service) == "granted, its target answered, 3.0s ago");
  CHECK(service_fault(service).empty());
  service.target = Cause::target_refused;
  CHECK(service_health(service) == "granted, its target does not answer: target_refused, 3.0s ago");
  service.target = Cause::other;
  CHECK(service_health(service) == "granted, its target is down, the server says, 3.0s ago");
  service.granted = false;
  CHECK(service_health(service) == "the server does not grant it to this client");
  CHECK_FALSE(service_fault(service).empty());
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
        "QUEUED    AGE  IDLE  DETACHED  RESUMES\n"
        "3fa9c1d2-17       web      home  127.0.0.1:41234  -       open   8 B  1.2 MiB      0 B  "
        "   0 B  1m01s    0s      1.5s        2\n"
        "3fa9c1d2-1234567  web      home  127.0.0.1:41234  -       open   5 B  1.2 MiB      0 B  "
        "   0 B  1m01s    0s      1.5s        2\n");
}

TEST_CASE("a table that is watched has columns for rates") {
  ConnectionSnapshot fresh = sample_connection();
  fresh.id = "3fa9c1d2-18";
  RateTable rates = {{"3fa9c1d2-17", {2048, 0.4}}};
  std::string text = render_connections({sample_connection(), fresh}, {}, &rates);
  CHECK(mentions(text, "STATE       UP/S  DOWN/S   UP"));
  CHECK(mentions(text, "open   2.0 KiB/s   0 B/s  8 B"));
  CHECK(mentions(text, "open           -       -  8 B"));
  CHECK(mentions(render_links(sample_snapshot().links, {}, &rates), "UP/S  DOWN/S\n"));
}

TEST_CASE("one connection's story names both ends, what waits where, and why it is paused") {
  ConnectionSnapshot one = sample_connection();
  one.pause = Pause::credit;
  one.target_end = EndState::finished;
  one.unacked_bytes = 2048;
  one.grace = seconds(300);
  one.keepalive = seconds(900);
  one.idle_timeout = seconds(7200);
  one.idle = milliseconds(850);
  one.opened_at_ms = 1767225600123;
  LinkSnapshot link = sample_snapshot().links.front();
  CHECK(render_connection(one, &link, {}) ==
        "connection 3fa9c1d2-17: open\n"
        "  service    web\n"
        "  client     127.0.0.1:41234\n"
        "  target     known to the server agent\n"
        "  link       3fa9c1d2000000000000000000000001 with home, live for 3m12s, carrier "
        "198.51.100.10:7443\n"
        "  opened     2026-01-01T00:00:00.123000Z, 1m01s ago; idle for 0.8s\n"
        "  bytes      up 8 B, down 1.2 MiB\n"
        "  unacked    2.0 KiB, read here and not yet with the far application\n"
        "  queued     0 B, arrived and not yet taken by the near application\n"
        "  window     0 B, granted to the far end\n"
        "  reading    paused for credit: the far end has not yet taken what was sent\n"
        "  ends       client open, target finished\n"
        "  keepalive  15m00s: without a sign for so long its near host is gone\n"
        "  idle       ends after 2h00m without a byte\n"
        "  half-close for ever\n"
        "  outages    2 survived, detached for 1.5s in all, 4.0 KiB replayed from here\n"
        "  grace      5m00s without a carrier\n");
  one.grace_remaining = seconds(288);
  one.client = "\033[2J";
  std::string lost = render_connection(one, nullptr, {});
  CHECK(mentions(lost, "grace      5m00s, of which 4m48s remain\n"));
  CHECK_FALSE(mentions(lost, "\033"));
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
