#include "common/agent/status_line.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

AgentBrief client() {
  AgentBrief brief;
  brief.kind = AgentKind::client;
  brief.down = 1;
  return brief;
}

TEST_CASE("A client whose link is down says that it retries, and why") {
  AgentBrief brief = client();
  CHECK(status_line(brief) == "link down, retrying");
  brief.trouble = "192.0.2.1:7443: connection refused";
  CHECK(status_line(brief) == "link down, retrying: 192.0.2.1:7443: connection refused");
}

TEST_CASE("While the link is down the line says how many connections are safe for how long") {
  AgentBrief brief = client();
  brief.connections = brief.safe = 3;
  brief.safe_for = seconds(4 * 60 + 48) - milliseconds(700);
  CHECK(status_line(brief) == "link down, retrying; 3 connections safe for 4m48s");
  brief.connections = 5;
  CHECK(status_line(brief) == "link down, retrying; 5 connections, 3 of them safe for 4m48s");
  brief.safe = 0;
  brief.safe_for.reset();
  CHECK(status_line(brief) == "link down, retrying; 5 connections only opening");
}

TEST_CASE("A link that is silent says for how long, and a client that it dials") {
  AgentBrief brief = client();
  brief.down = 0;
  brief.silent = 1;
  brief.silent_for = seconds(7) + milliseconds(300);
  brief.peer = "hub-1";
  brief.connections = 3;
  CHECK(status_line(brief) == "link to hub-1 silent for 7.0s, dialling, 3 connections");
  brief.kind = AgentKind::server;
  CHECK(status_line(brief) == "link to hub-1 silent for 7.0s, 3 connections");
  brief.live = 1;
  CHECK(status_line(brief) == "1 link up, 1 silent for 7.0s, 3 connections");
}

TEST_CASE("A link that is up names its peer, its connections and how often it was resumed") {
  AgentBrief brief = client();
  brief.down = 0;
  brief.live = 1;
  brief.peer = "hub-1";
  CHECK(status_line(brief) == "link up to hub-1");
  brief.connections = 1;
  brief.resumes = 2;
  CHECK(status_line(brief) == "link up to hub-1, 1 connection, resumed 2 times");
}

TEST_CASE("An address that cannot be listened on is named in the line") {
  AgentBrief brief;
  brief.kind = AgentKind::server;
  brief.not_listening = {"192.0.2.1:7443"};
  CHECK(status_line(brief) == "no link, waiting for clients; cannot listen on 192.0.2.1:7443");
  brief.not_listening.push_back("[::]:7443");
  CHECK(status_line(brief) ==
        "no link, waiting for clients; cannot listen on 192.0.2.1:7443 and 1 more");
}

TEST_CASE("A server sums its links up") {
  AgentBrief brief;
  brief.kind = AgentKind::server;
  CHECK(status_line(brief) == "no link, waiting for clients");
  brief.live = 2;
  brief.down = 1;
  brief.connections = 17;
  brief.safe = 4;
  brief.safe_for = seconds(30);
  CHECK(status_line(brief) ==
        "2 links up, 1 down, 17 connections, 4 of them on links that are down, safe for 30s");
}

TEST_CASE("A draining agent says how many connections are left") {
  AgentBrief brief = client();
  brief.down = 0;
  brief.live = 1;
  brief.peer = "hub-1";
  brief.draining = true;
  brief.connections = 2;
  CHECK(status_line(brief) == "draining, 2 connections left; link up to hub-1");
}

}  // namespace
}  // namespace holdfast
