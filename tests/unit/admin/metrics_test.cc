#include "common/admin/metrics.h"

#include <catch2/catch.hpp>

#include "tests/unit/admin/fixtures.h"

namespace holdfast {
namespace {

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}
bool mentions(const std::string& text, const std::string& word) {
  return text.find(word) != std::string::npos;
}

TEST_CASE("counters are there at 0 from the start on both sides") {
  for (AgentKind kind : {AgentKind::client, AgentKind::server}) {
    AgentSnapshot snapshot;
    snapshot.kind = kind;
    snapshot.peers = {"edge-1"};
    snapshot.services["web"];
    std::string text = metrics_text(snapshot);
    CHECK(has_line(text, "holdfast_replayed_bytes_total 0"));
    CHECK(has_line(text, "holdfast_connections_opened_total{service=\"web\"} 0"));
    CHECK(has_line(text, "holdfast_bytes_total{service=\"web\",direction=\"up\"} 0"));
    CHECK(has_line(text, "holdfast_bytes_total{service=\"web\",direction=\"down\"} 0"));
    CHECK(has_line(text, "holdfast_connections{state=\"open\"} 0"));
    CHECK(has_line(text, "holdfast_link_reconnects_total{reason=\"carrier_silent\"} 0"));
    CHECK(mentions(text, "\nholdfast_link_up"));
  }
}

TEST_CASE("values of the snapshot are shown") {
  std::string text = metrics_text(sample_snapshot());
  CHECK(has_line(text, "holdfast_build_info{version=\"0.1.0\",kind=\"client\"} 1"));
  CHECK(has_line(text, "holdfast_link_up 1"));
  CHECK(has_line(text, "holdfast_connections{state=\"open\"} 2"));
  CHECK(
      has_line(text, "holdfast_connections_closed_total{service=\"web\",cause=\"client_fin\"} 2"));
  CHECK(has_line(text, "holdfast_bytes_total{service=\"web\",direction=\"down\"} 2000"));
  CHECK(has_line(text, "holdfast_link_reconnects_total{reason=\"carrier_silent\"} 2"));
  CHECK(has_line(text, "holdfast_link_outage_seconds_total 34.5"));
  CHECK(has_line(text, "holdfast_send_log_bytes 1258291"));
  CHECK(mentions(text, "\nholdfast_link_rtt_seconds 0.0241"));
  CHECK_FALSE(mentions(text, "holdfast_grace_remaining_seconds"));
}

TEST_CASE("types are right for Prometheus") {
  std::string text = metrics_text(sample_snapshot());
  CHECK(has_line(text, "# TYPE holdfast_replayed_bytes_total counter"));
  CHECK(has_line(text, "# TYPE holdfast_connections gauge"));
}

TEST_CASE("a lost link shows as down with the grace that remains") {
  AgentSnapshot snapshot = sample_snapshot();
  lose_link(snapshot);
  std::string text = metrics_text(snapshot);
  CHECK(has_line(text, "holdfast_link_up 0"));
  CHECK(has_line(text, "holdfast_grace_remaining_seconds 288"));
}

TEST_CASE("a server tells its clients apart, also those that are not there") {
  AgentSnapshot snapshot = sample_snapshot();
  snapshot.kind = AgentKind::server;
  snapshot.peers = {"edge-1", "edge-2"};
  snapshot.links.front().peer = "edge-1";
  LinkSnapshot old = snapshot.links.front();  // a second link of the same client, detached
  old.state = LinkState::detached;
  snapshot.links.push_back(old);
  std::string text = metrics_text(snapshot);
  CHECK(has_line(text, "holdfast_link_up{peer=\"edge-1\"} 1"));
  CHECK(has_line(text, "holdfast_link_up{peer=\"edge-2\"} 0"));
}

}  // namespace
}  // namespace holdfast
