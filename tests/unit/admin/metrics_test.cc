#include "common/admin/metrics.h"

#include <regex>
#include <set>
#include <sstream>

#include "tests/catch.h"
#include "tests/unit/fixtures.h"

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

// The text format's rules (prometheus.io/docs/instrumenting/exposition_formats), as promtool checks
// them: HELP and TYPE before a family's values, no family and no series twice, counters in _total.
TEST_CASE("the exposition keeps the format's rules") {
  AgentSnapshot snapshot = sample_snapshot();
  snapshot.services["a \"quoted\\ name\n"] = {1, {{Cause::goodbye, 1}}, 1, 1};
  lose_link(snapshot);
  std::istringstream lines(metrics_text(snapshot));
  std::set<std::string> families, series;
  std::string family, type;
  const std::regex kName("[a-zA-Z_:][a-zA-Z0-9_:]*");
  const std::regex kValue(
      R"(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? ([-+0-9.eE]+|[+-]?Inf|NaN))");
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    if (line.rfind("# HELP ", 0) == 0) {
      family = line.substr(7, line.find(' ', 7) - 7);
      CHECK(families.insert(family).second);
      CHECK(std::regex_match(family, kName));
      CHECK(line.back() == '.');
      continue;
    }
    if (line.rfind("# TYPE ", 0) == 0) {
      CHECK(line.rfind("# TYPE " + family + " ", 0) == 0);
      type = line.substr(8 + family.size());
      CHECK((type == "counter") ==
            (family.size() > 6 && family.substr(family.size() - 6) == "_total"));
      continue;
    }
    std::smatch match;
    REQUIRE(std::regex_match(line, match, kValue));
    CHECK(series.insert(match[1].str() + match[2].str()).second);
    CHECK(match[1].str().rfind(family, 0) == 0);
    if (type != "histogram") CHECK(match[1].str() == family);
  }
  CHECK(families.size() > 20);
}

TEST_CASE("the loop's turns are a histogram, and none is forgotten") {
  AgentSnapshot snapshot = sample_snapshot();
  for (auto turn :
       {microseconds(50), microseconds(3000), microseconds(7000), microseconds(2000000)}) {
    snapshot.turns.add(turn);
  }
  std::string text = metrics_text(snapshot);
  CHECK(has_line(text, "holdfast_loop_turn_seconds_bucket{le=\"0.0001\"} 1"));
  CHECK(has_line(text, "holdfast_loop_turn_seconds_bucket{le=\"0.005\"} 2"));
  CHECK(has_line(text, "holdfast_loop_turn_seconds_bucket{le=\"0.01\"} 3"));
  CHECK(has_line(text, "holdfast_loop_turn_seconds_bucket{le=\"+Inf\"} 4"));
  CHECK(has_line(text, "holdfast_loop_turn_seconds_count 4"));
  CHECK(has_line(text, "holdfast_loop_longest_turn_seconds 2"));
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
