#include "common/admin/status_page.h"

#include <regex>

#include "common/admin/page_json.h"
#include "tests/catch.h"
#include "tests/unit/fixtures.h"

namespace holdfast {
namespace {

bool has(std::string_view text, std::string_view word) {
  return text.find(word) != std::string_view::npos;
}

struct Page {
  explicit Page(std::optional<std::string> own_host = std::nullopt) {
    add_status_page(routes, agent, own_host);
  }
  const HttpRoute& route(const std::string& path) const {
    for (const HttpRoute& one : routes) {
      if (one.path == path) return one;
    }
    throw std::out_of_range(path);
  }
  HttpResponse get(const std::string& path, const HttpParameters& parameters = {}) const {
    return route(path).answer(parameters);
  }

  FakeAgent agent;
  std::vector<HttpRoute> routes;
};

std::string header(const HttpResponse& response, const std::string& name) {
  for (const auto& [key, value] : response.headers) {
    if (key == name) return value;
  }
  return "";
}

ConnectionSnapshot connection(const std::string& id, std::uint64_t bytes, int age_s) {
  ConnectionSnapshot out = sample_connection();
  out.id = id;
  out.bytes_up = bytes;
  out.bytes_down = 0;
  out.unacked_bytes = 1000 - bytes;
  out.duration = seconds(age_s);
  return out;
}

std::vector<std::string> listed_ids(const std::string& json) {
  std::vector<std::string> ids;
  std::regex pattern("\"id\":\"(c[0-9]+)\"");
  for (auto it = std::sregex_iterator(json.begin(), json.end(), pattern);
       it != std::sregex_iterator(); ++it) {
    ids.push_back((*it)[1]);
  }
  return ids;
}

TEST_CASE("the page is one file without anything that its policy would forbid") {
  std::string page(status_page_html());
  CHECK(page.size() > 10'000);
  CHECK(page.size() < 64 * 1024);
  CHECK_FALSE(std::regex_search(page, std::regex("\\sstyle=|\\son[a-z]+=\"|javascript:")));
  CHECK_FALSE(std::regex_search(page, std::regex("(src|href)=\"(?!data:|readyz|metrics)")));
  CHECK_FALSE(std::regex_search(page, std::regex("innerHTML|outerHTML|insertAdjacent|document\\."
                                                 "write|eval\\(|new Function")));
  // The policy's hashes are of one of each, and no comment may look like another.
  for (const char* tag : {"<style", "</style", "<script", "</script"}) {
    CHECK(page.find(tag) != std::string::npos);
    CHECK(page.find(tag) == page.rfind(tag));
  }
  // The only addresses are names of XML vocabularies.
  std::string rest = std::regex_replace(page, std::regex("http://www\\.w3\\.org/2000/svg"), "");
  CHECK_FALSE(has(rest, "http://"));
  CHECK_FALSE(has(rest, "https://"));
}

TEST_CASE("the page is served under / and /status with a policy of hashes") {
  Page page;
  for (const char* path : {"/", "/status"}) {
    HttpResponse response = page.get(path);
    CHECK(response.status == 200);
    CHECK(response.content_type == "text/html; charset=utf-8");
    CHECK(response.body == status_page_html());
    std::string policy = header(response, "Content-Security-Policy");
    CHECK(has(policy, "default-src 'none'; style-src 'sha256-"));
    CHECK(has(policy, "script-src 'sha256-"));
    CHECK(has(policy, "connect-src 'self'"));
    CHECK_FALSE(has(policy, "unsafe"));
    CHECK(header(response, "X-Content-Type-Options") == "nosniff");
    CHECK(header(response, "Cache-Control") == "no-store");
  }
}

TEST_CASE("the policy's hashes are those of the elements' text") {
  // Of "a{}" and "b()", by openssl dgst and base64.
  std::string policy =
      content_security_policy("<style>a{}</style><p>between</p><script>b()</script>");
  CHECK(has(policy, "style-src 'sha256-X1RutGBrXCt9KkSaXMK7tHftWiRscFHOhxsS8tv8hBk='"));
  CHECK(has(policy, "script-src 'sha256-cf242PFc/kb7xD0Qzhsmd9vvRkc+cWFmbi+k+YvtdKc='"));
}

TEST_CASE("hosts are checked on the metrics address and not on the Unix socket") {
  Page tcp("127.0.0.1"), local;
  for (const char* path : {"/", "/status", "/status.json"}) {
    REQUIRE(tcp.route(path).refuse_host);
    CHECK_FALSE(tcp.route(path).refuse_host("evil.example").empty());
    CHECK(tcp.route(path).refuse_host("127.0.0.1:9465").empty());
    CHECK_FALSE(local.route(path).refuse_host);
  }
}

TEST_CASE("the JSON is not stored, and says what the agent says") {
  Page page;
  HttpResponse response = page.get("/status.json");
  CHECK(response.status == 200);
  CHECK(response.content_type == "application/json");
  CHECK(header(response, "Cache-Control") == "no-store");
  CHECK(has(response.body, "\"name\":\"edge-1\""));
  CHECK(has(response.body, "\"uptime_s\":3725.0"));
  CHECK(has(response.body, "\"rtt_s\":0.0241"));
  CHECK(has(response.body, "\"top\":null"));
}

TEST_CASE("the connections of one service are listed, and counted apart") {
  AgentSnapshot snapshot;
  snapshot.connections = {connection("c1", 10, 1), connection("c2", 20, 1),
                          connection("c3", 30, 1)};
  (*snapshot.connections)[1].service = "other";
  std::string one = page_json(snapshot, {5, TopConnections::Order::bytes, "other"});
  CHECK(listed_ids(one) == std::vector<std::string>{"c2"});
  CHECK(has(one, "\"matching\":1,"));
  std::string all = page_json(snapshot, {1, TopConnections::Order::bytes, ""});
  CHECK(listed_ids(all) == std::vector<std::string>{"c3"});
  CHECK(has(all, "\"matching\":3,"));
  std::string none = page_json(snapshot, {5, TopConnections::Order::bytes, "no such"});
  CHECK(has(none, "\"matching\":0,"));
}

TEST_CASE("the page of an agent that does not answer gets a 503 with the reason") {
  Page page;
  page.agent.fail("the agent's loop did not answer within 2 s");
  HttpResponse response = page.get("/status.json");
  CHECK(response.status == 503);
  CHECK(has(response.body, "did not answer within 2 s"));
}

TEST_CASE("parameters that make no sense are as if they were not there") {
  Page page;
  for (const char* text : {"", "-1", "nan", "inf", "1e300", "abc", "99999999999999999999"}) {
    INFO(text);
    CHECK(page.get("/status.json", {{"since", text}, {"top", "0"}, {"sort", text}}).status == 200);
  }
  CHECK(has(page.get("/status.json", {{"top", "4294967296999"}}).body, "3fa9c1d2-17"));
}

TEST_CASE("the connections asked for are the first by bytes, age or unacked") {
  AgentSnapshot snapshot = sample_snapshot();
  snapshot.connections = {connection("c1", 10, 300), connection("c2", 900, 1),
                          connection("c3", 500, 20)};
  using Order = TopConnections::Order;
  CHECK(listed_ids(page_json(snapshot, {2, Order::bytes})) == std::vector<std::string>{"c2", "c3"});
  CHECK(listed_ids(page_json(snapshot, {2, Order::age})) == std::vector<std::string>{"c1", "c3"});
  CHECK(listed_ids(page_json(snapshot, {5, Order::unacked})) ==
        std::vector<std::string>{"c1", "c3", "c2"});
  CHECK(listed_ids(page_json(snapshot, {0, Order::age})).empty());
}

TEST_CASE("the JSON names the addresses that cannot be listened on") {
  AgentSnapshot snapshot = sample_snapshot();
  CHECK(page_json(snapshot, {}).find("\"not_listening\":[]") != std::string::npos);
  snapshot.not_listening = {{"127.0.0.1:80", "cannot listen on 127.0.0.1:80: in use"}};
  CHECK(page_json(snapshot, {})
            .find("\"not_listening\":[{\"address\":\"127.0.0.1:80\",\"reason\":\"cannot listen on "
                  "127.0.0.1:80: in use\"}]") != std::string::npos);
}

TEST_CASE("the JSON stays small whatever the agent has and whatever peers call themselves") {
  AgentSnapshot snapshot = sample_snapshot();
  LinkSnapshot link = snapshot.links.front();
  link.last_error = std::string(100'000, '"');
  snapshot.links.assign(5000, link);
  snapshot.peers.assign(5000, std::string(64, 'p'));
  snapshot.not_listening.assign(5000, {std::string(300, 'a'), std::string(300, 'r')});
  for (int i = 0; i < 5000; ++i) snapshot.services["service-" + std::to_string(i)] = {};
  ConnectionSnapshot one = sample_connection();
  one.client = std::string(1000, '\xff');
  snapshot.connections.emplace(10'000, one);
  HistoryView view;
  view.recent.assign(kRecentSamples, {Time(seconds(1)), seconds(1), UINT64_MAX, UINT64_MAX, 1, 1,
                                      microseconds(123456)});
  view.older.assign(kOlderSamples, view.recent.front());
  view.outages.assign(kMostOutages, {});
  snapshot.history = view;
  std::string json = page_json(snapshot, {kMostTop, TopConnections::Order::bytes});
  CHECK(json.size() < 512 * 1024);
}

TEST_CASE("instants of the history are uptimes") {
  AgentSnapshot snapshot = sample_snapshot();
  HistoryView view;
  view.now = Time(seconds(50'000));
  view.recent = {{Time(seconds(49'990)), seconds(1), 7, 8, 3, 1, microseconds(24'100)}};
  Outage outage;
  outage.name = "west";
  outage.peer = "<b>home</b>";
  outage.began = Time(seconds(49'000));
  outage.cause = Cause::carrier_silent;
  view.outages = {outage};
  snapshot.history = view;
  std::string json = page_json(snapshot, {});
  CHECK(has(json, "\"recent\":[[3715.0,1.0,7,8,3,1,0.0241]]"));
  CHECK(
      has(json,
          R"("name":"west","peer":"<b>home</b>","began":2725.0,"ended":null,"result":"running")"));
  CHECK(has(json, "\"cause\":\"carrier_silent\""));
}

}  // namespace
}  // namespace holdfast
