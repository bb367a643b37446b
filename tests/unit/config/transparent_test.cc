// Keys of both sides by which neither the application nor the service is told.
#include "common/config/load.h"
#include "tests/catch.h"
#include "tests/unit/config/support.h"

namespace holdfast {
namespace {

using test::Expected;
using test::of_severity;
using test::require_one;

// Line numbers count from here: the service's own keys begin at line 6.
LoadedClient client(const std::string& keys) {
  return parse_client_config(
      "name = \"edge-1\"\n[link]\nserver = \"192.0.2.1:7443\"\nunsafe_plaintext = true\n"
      "[services.db]\n" +
          keys + "\n[admin]\nsocket = \"/run/c.sock\"\n",
      "/etc/holdfast/client.toml", Environment::ignored);
}

// A client's keys begin at line 5, a service's at line 8.
LoadedServer server(const std::string& client_keys, const std::string& service_keys = "") {
  return parse_server_config(
      "[link]\nlisten = \"0.0.0.0:7443\"\nunsafe_plaintext = true\n[clients.edge-1]\n" +
          client_keys + "\nservices = [\"db\"]\n[services.db]\n" + service_keys +
          "\ntarget = \"10.0.5.7:5432\"\n[admin]\nsocket = \"/run/s.sock\"\n",
      "/etc/holdfast/server.toml", Environment::ignored);
}

const std::string kRedirect = "mode = \"redirect\"\nlisten = \"*:15001\"\n";

TEST_CASE("an intercepting service has a mode, a port for all addresses and a match") {
  auto loaded = client(kRedirect + "match = [\"10.0.5.0/24:5432\", \"[2001:db8::/32]:*\"]");
  INFO(format_problems(loaded.problems));
  CHECK_FALSE(has_errors(loaded.problems));
  REQUIRE(loaded.config);
  const ClientServiceConfig& db = loaded.config->services.at("db");
  CHECK(db.mode == ServiceMode::redirect);
  CHECK(db.listen == std::vector<ListenAddress>{TcpAddress{"*", 15001}});
  CHECK(db.match.size() == 2);
  CHECK_FALSE(db.travel);
  // Whoever connects to the port itself is reset: no warning that everybody may.
  CHECK(of_severity(loaded.problems, Severity::warning).size() == 1);  // plaintext
}

TEST_CASE("what does not go together is told") {
  require_one(client(kRedirect).problems, Severity::error,
              {5, "services.db.match", "missing", "10.0.5.0/24:5432"});
  require_one(client("listen = \"127.0.0.1:1\"\nmatch = \"10.0.5.0/24:5432\"").problems,
              Severity::error, {7, "services.db.match", "own address", "mode = \"redirect\""});
  require_one(
      client("mode = \"tproxy\"\nlisten = \"unix:/run/x\"\nmatch = \"10.0.5.7:1\"").problems,
      Severity::error, {7, "services.db.listen", "TCP port", ""});
  require_one(client(kRedirect + "match = \"10.0.5.1/24:5432\"").problems, Severity::error,
              {8, "services.db.match", "10.0.5.0/24", ""});
  require_one(client(kRedirect + "match = \"10.0.5.7:1\"\naccept_proxy = true\n"
                                 "accept_proxy_from = \"10.0.0.1\"")
                  .problems,
              Severity::error, {9, "services.db.accept_proxy", "no PROXY header", ""});
  require_one(client("listen = \"127.0.0.1:1\"\naccept_proxy = true").problems, Severity::error,
              {5, "services.db.accept_proxy_from", "nobody may", "balancers"});
  require_one(client("listen = \"" + test::kPassedOrUnix + "\"\nmirror = true").problems,
              Severity::error, {7, "services.db.mirror", "TCP listener", ""});
  require_one(client(kRedirect + "match = \"10.0.5.7:1\"\ntravel = true\nmirror = true").problems,
              Severity::error, {10, "services.db.mirror", "no target", ""});
}

TEST_CASE("services of one mode share a port, and a destination belongs to one of them") {
  const std::string other = "match = \"10.0.5.7:1\"\n[services.other]\n" + kRedirect;
  CHECK_FALSE(has_errors(client(kRedirect + other + "match = \"10.0.5.7:2\"").problems));
  require_one(client(kRedirect + other + "match = \"10.0.5.7:1\"").problems, Severity::error,
              {12, "services.other.match", "services.db has the same", ""});
  require_one(client(kRedirect + other + "match = \"10.0.5.7:2\"\nmirror = true").problems,
              Severity::error, {13, "services.other.mirror", "same listener", "port of its own"});
  const std::string tproxy =
      "match = \"10.0.5.7:1\"\n[services.other]\nmode = \"tproxy\"\nlisten = \"*:15001\"\n";
  require_one(client(kRedirect + tproxy + "match = \"10.0.5.7:2\"").problems, Severity::error,
              {11, "services.other.listen", "is taken by services.db.listen", ""});
}

TEST_CASE("a server's grants and what its services are told arrive where they belong") {
  auto loaded = server(
      "allow = [\"10.0.5.0/24:5432\", \"[2001:db8::/32]:22\"]\nsource = \"client\"\n"
      "sources = [\"10.0.0.0/8\"]",
      "send_proxy = \"v2\"\nsource = \"client\"\nmirror = true\ncheck_interval = \"5s\"");
  INFO(format_problems(loaded.problems));
  REQUIRE(loaded.config);
  const PeerConfig& edge = loaded.config->clients.at("edge-1");
  CHECK(edge.allow.size() == 2);
  CHECK(edge.source == SourceAddress::client);
  CHECK(edge.sources == std::vector<Network>{*parse_network("10.0.0.0/8")});
  const ServerServiceConfig& db = loaded.config->services.at("db");
  CHECK(db.send_proxy == SendProxy::v2);
  CHECK(db.source == SourceAddress::client);
  CHECK(db.mirror);
  CHECK(db.check_interval == seconds(5));
}

TEST_CASE("sources that nobody may have are told before anybody waits for them") {
  require_one(server("", "source = \"client\"").problems, Severity::error,
              {4, "clients.edge-1.sources", "none are allowed", "sources ="});
  require_one(server("allow = \"10.0.5.7:1\"\nsource = \"client\"").problems, Severity::error,
              {4, "clients.edge-1.sources", "none are allowed", "sources ="});
  CHECK_FALSE(has_errors(server("sources = []", "source = \"client\"").problems));
  CHECK_FALSE(server("").config->clients.at("edge-1").sources);
}

TEST_CASE("what nft is to leave alone is a uid, a cgroup or a mark") {
  auto with = [](const std::string& nft) {
    return client("listen = \"127.0.0.1:1\"\n[nft]\n" + nft);
  };
  auto good = with(
      "exclude = [\"uid:holdfast\", \"cgroup:system.slice/x.service\", \"mark:7\"]\n"
      "table = \"mine\"\nmark = 5\nroute_table = 300");
  INFO(format_problems(good.problems));
  REQUIRE(good.config);
  CHECK(good.config->nft.exclude.size() == 3);
  CHECK(good.config->nft.table == "mine");
  for (const char* bad : {"uid:", "gid:1", "mark:x", "mark:0", "cgroup:/a", "cgroup:a/", "uid:a b",
                          "uid:a\\\" drop", "cgroup:a\\\"b", "holdfast"}) {
    INFO(bad);
    CHECK(has_errors(with("exclude = \"" + std::string(bad) + "\"").problems));
  }
  for (const char* bad : {"a-b", "1a", "", "a b", "a{"}) {
    CHECK(has_errors(with("table = \"" + std::string(bad) + "\"").problems));
  }
  CHECK(has_errors(with("route_table = 254").problems));
}

}  // namespace
}  // namespace holdfast
