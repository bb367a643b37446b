#include "common/config/load.h"
#include "tests/unit/config/support.h"

namespace holdfast {
namespace {

using test::Expected;
using test::Folder;
using test::of_severity;
using test::replaced;
using test::require_one;

// Line numbers in the tests below count from here.
const std::string kGood =
    "[link]\n"                              // 1
    "listen = [\"0.0.0.0:7443\"]\n"         // 2
    "[clients.edge-1]\n"                    // 3
    "psk_file = \"/etc/holdfast/e.psk\"\n"  // 4
    "services = [\"db\"]\n"                 // 5
    "[services.db]\n"                       // 6
    "target = \"127.0.0.1:5432\"\n"         // 7
    "[admin]\n"                             // 8
    "socket = \"/run/holdfast/s.sock\"\n";  // 9

const std::string kPskLine = "psk_file = \"/etc/holdfast/e.psk\"\n";

LoadedServer parsed(const std::string& text) {
  return parse_server_config(text, "/etc/holdfast/server.toml", Environment::ignored);
}

TEST_CASE("a server config without mistakes has every default filled in") {
  const LoadedServer loaded = parsed(kGood);
  INFO(format_problems(loaded.problems));
  CHECK(loaded.problems.empty());
  REQUIRE(loaded.config.has_value());
  const ServerConfig& config = *loaded.config;
  CHECK(config.link.listen == std::vector<ListenAddress>{TcpAddress{"0.0.0.0", 7443}});
  CHECK(config.link.grace == seconds(300));
  CHECK_FALSE(config.link.unsafe_plaintext);
  CHECK_FALSE(config.link.heartbeat.has_value());
  CHECK_FALSE(config.link.dead_after.has_value());
  CHECK_FALSE(config.link.tls.has_value());
  CHECK(config.link.handshake_timeout == seconds(10));
  CHECK(config.link.max_window == 16 * kMiB);
  CHECK(config.clients.at("edge-1") ==
        PeerConfig{"/etc/holdfast/e.psk", {"db"}, kDefaultClientLinks, std::nullopt, std::nullopt});
  CHECK(config.services.at("db") ==
        ServerServiceConfig{TcpAddress{"127.0.0.1", 5432}, std::nullopt, seconds(10)});
  CHECK(config.shutdown_timeout == seconds(60));
  CHECK(config.threads == 1);
}

TEST_CASE("without libsystemd a link listens at addresses only, and the error says so") {
  const LoadedServer loaded = parsed(replaced(kGood, "0.0.0.0:7443", "systemd:link"));
  if (kWithSystemd) {
    CHECK(loaded.problems.empty());
    return;
  }
  require_one(loaded.problems, Severity::error,
              {2, "link.listen[0]", "no libsystemd, which takes passed sockets", ""});
}

TEST_CASE("every key of a server config arrives where it belongs") {
  const std::string passed = kWithSystemd ? "systemd:link" : "[::]:2";
  const LoadedServer loaded = parsed(
      "name = \"hub\"\n"
      "shutdown_timeout = \"0s\"\n"
      "[link]\n"
      "listen = [\"[::]:1\", \"" +
      passed +
      "\"]\n"
      "grace = \"1h\"\n"
      "heartbeat = \"200ms\"\n"
      "dead_after = \"1s\"\n"
      "handshake_timeout = \"1s\"\n"
      "max_window = \"2MiB\"\n"
      "[link.tls]\n"
      "ca_file = \"/ca\"\n"
      "cert_file = \"/cert\"\n"
      "key_file = \"/key\"\n"
      "[clients.a]\n"
      "services = [\"x\", \"y\"]\n"
      "links = 4\n"
      "connections = 10\n"
      "memory = \"32MiB\"\n"
      "[services.x]\n"
      "target = \"unix:/run/x\"\n"
      "grace = \"10m\"\n"
      "connect_timeout = \"1s\"\n"
      "[services.y]\n"
      "target = \"y.example:2\"\n");
  INFO(format_problems(loaded.problems));
  REQUIRE(loaded.config.has_value());
  const ServerConfig& config = *loaded.config;
  CHECK(config.name == "hub");
  CHECK(config.shutdown_timeout == seconds(0));
  CHECK(config.link.listen ==
        std::vector<ListenAddress>{TcpAddress{"::", 1}, *parse_listen_address(passed)});
  CHECK(config.link.grace == seconds(3600));
  CHECK(config.link.heartbeat == milliseconds(200));
  CHECK(config.link.dead_after == seconds(1));
  CHECK(config.link.handshake_timeout == seconds(1));
  CHECK(config.link.max_window == 2 * kMiB);
  CHECK(config.link.tls == TlsConfig{"/ca", "/cert", "/key", std::nullopt});
  CHECK(config.clients.at("a") == PeerConfig{std::nullopt, {"x", "y"}, 4, 10, 32 * kMiB});
  CHECK(config.services.at("x") ==
        ServerServiceConfig{UnixAddress{"/run/x"}, seconds(600), seconds(1)});
  CHECK(config.services.at("y").target == Address(TcpAddress{"y.example", 2}));
  CHECK(config.admin.socket == "/run/holdfast/server.sock");
}

struct Mistake {
  std::string old;
  std::string with;
  Expected expected;
};

void require_each(const std::vector<Mistake>& mistakes) {
  for (const Mistake& mistake : mistakes) {
    const LoadedServer loaded = parsed(replaced(kGood, mistake.old, mistake.with));
    INFO(mistake.with);
    CHECK_FALSE(loaded.config.has_value());
    require_one(loaded.problems, Severity::error, mistake.expected);
    CHECK(of_severity(loaded.problems, Severity::error)[0].file == "/etc/holdfast/server.toml");
    CHECK(exit_code(loaded.problems) == 78);
  }
}

TEST_CASE("a server's missing keys are told") {
  require_each({
      {"listen = [\"0.0.0.0:7443\"]\n", "", {1, "link.listen", "it is missing", "0.0.0.0:7443"}},
      {"target = \"127.0.0.1:5432\"\n", "", {6, "services.db.target", "it is missing", ""}},
      {"[link]\nlisten = [\"0.0.0.0:7443\"]\n", "", {1, "link.listen", "it is missing", ""}},
  });
}

TEST_CASE("a server's unknown keys are told with the nearest or where they belong") {
  require_each({
      {"listen = [", "grcae = \"1m\"\nlisten = [", {2, "link.grcae", "unknown key", "\"grace\""}},
      {"listen = [", "psk_file = \"a\"\nlisten = [", {2, "link.psk_file", "", "[clients.NAME]"}},
      {"listen = [", "server = \"a:1\"\nlisten = [", {2, "link.server", "", "at the client"}},
      {"services = [", "service = [", {5, "clients.edge-1.service", "", "\"services\""}},
      {"target =", "listen = \"a:1\"\ntarget =", {7, "services.db.listen", "", "the client's"}},
      {"[services.db]", "[client.a]\n[services.db]", {6, "client", "", "\"clients\""}},
  });
}

TEST_CASE("a target that is the agent's own link port is refused, and others are not") {
  for (const char* own : {"127.0.0.1:7443", "localhost:7443", "0.0.0.0:7443", "[::1]:7443"}) {
    const std::string target = std::string("target = \"") + own + "\"";
    require_each({{"target = \"127.0.0.1:5432\"",
                   target,
                   {7, "services.db.target", "own link port", "where does the service listen"}}});
  }
  for (const char* other : {"127.0.0.1:7444", "192.0.2.1:7443", "db.example.org:7443"}) {
    const std::string target = std::string("target = \"") + other + "\"";
    CHECK(parsed(replaced(kGood, "target = \"127.0.0.1:5432\"", target)).problems.empty());
  }
  // It listens on one address; 127.0.0.1 is another.
  const std::string one = replaced(kGood, "0.0.0.0:7443", "192.0.2.9:7443");
  CHECK(parsed(replaced(one, "127.0.0.1:5432", "127.0.0.1:7443")).problems.empty());
  CHECK_FALSE(parsed(replaced(one, "127.0.0.1:5432", "192.0.2.9:7443")).problems.empty());
}

TEST_CASE("a client that lists an unknown service is told the nearest one") {
  require_each({
      {"[\"db\"]",
       "[\"db\", \"dbb\"]",
       {5, "clients.edge-1.services[1]", "there is no service \"dbb\"", "did you mean \"db\"?"}},
      {"[\"db\"]",
       "[\"db\", \"mail\"]",
       {5, "clients.edge-1.services[1]", "there is no service \"mail\"", "[services.mail]"}},
      {"[\"db\"]", "[\"db\", \"\"]", {5, "clients.edge-1.services[1]", "no service", "a name has"}},
  });
}

TEST_CASE("a client's services must be an array of strings") {
  require_each({
      {"[\"db\"]",
       "\"db\"",
       {5, "clients.edge-1.services", "expected an array of strings, found the string \"db\"",
        "write [\"db\"]"}},
      {"[\"db\"]",
       "[\"db\", 5]",
       {5, "clients.edge-1.services[1]", "expected a string, found the integer 5", ""}},
  });
}

TEST_CASE("a server's wrong values are told with what is right") {
  require_each({
      {"listen = [",
       "heartbeat = \"20s\"\nlisten = [",
       {2, "link.heartbeat", "dead_after (15s, the default)", ""}},
      {"[\"0.0.0.0:7443\"]", "[]", {2, "link.listen", "no address stands in it", ""}},
      {"0.0.0.0:7443", "unix:/a", {2, "link.listen[0]", "a link runs over TCP", ""}},
      {"127.0.0.1:5432", "systemd:a", {7, "services.db.target", "listened on", ""}},
      {"clients.edge-1", "clients.\"edge 1\"", {3, "clients.edge 1", "cannot be a name", ""}},
  });
}

TEST_CASE("listeners of a server that clash are told") {
  require_each({
      {"[\"0.0.0.0:7443\"]",
       "[\"0.0.0.0:7443\", \"127.0.0.1:7443\"]",
       {2, "link.listen[1]", "is taken by link.listen[0] (line 2)", ""}},
      {"[admin]",
       "[admin]\nmetrics = \"127.0.0.1:7443\"",
       {9, "admin.metrics", "is taken by link.listen[0]", ""}},
  });
}

TEST_CASE("a client without a key is refused with what to do") {
  require_each({
      {kPskLine, "", {3, "clients.edge-1.psk_file", "no key", "holdfast-server genpsk"}},
  });
}

TEST_CASE("certificates or plaintext stand for a client's key") {
  const std::string tls = "[link.tls]\nca_file = \"/a\"\ncert_file = \"/b\"\nkey_file = \"/c\"\n";
  CHECK(parsed(replaced(kGood, kPskLine, "") + tls).config.has_value());
  const LoadedServer plain =
      parsed(replaced(replaced(kGood, kPskLine, ""), "listen", "unsafe_plaintext = true\nlisten"));
  REQUIRE(plain.config.has_value());
  require_one(plain.problems, Severity::warning,
              {2, "link.unsafe_plaintext", "UNSAFE", "only for tests"});
}

TEST_CASE("only the client verifies a server name") {
  const LoadedServer loaded = parsed(
      kGood +
      "[link.tls]\nca_file = \"/a\"\ncert_file = \"/b\"\nkey_file = \"/c\"\nserver_name = \"x\"\n");
  require_one(loaded.problems, Severity::error,
              {14, "link.tls.server_name", "unknown key", "only the client"});
}

TEST_CASE("a home is a DNS name, and PROXY headers need balancers that may send them") {
  auto with = [](const std::string& line) {
    return parsed(replaced(kGood, "[clients.edge-1]", line + "\n[clients.edge-1]")).problems;
  };
  require_one(with("home = \"192.0.2.1\""), Severity::error,
              {3, "link.home", "is no DNS name", "hub-1"});
  require_one(with("home_address = \"hub-1\""), Severity::error,
              {3, "link.home_address", "the port is missing", ""});
  require_one(with("accept_proxy = true"), Severity::error,
              {1, "link.accept_proxy_from", "no client can connect", "balancers"});
  require_one(with("accept_proxy_from = \"192.0.2.10\""), Severity::warning,
              {3, "link.accept_proxy_from", "means nothing", ""});
  CHECK(with("accept_proxy = true\naccept_proxy_from = \"192.0.2.0/24\"").empty());
}

TEST_CASE("a server's oddities are warnings") {
  const std::vector<Mistake> oddities = {
      {"[clients.edge-1]",
       "open_timeout = \"2s\"\n[clients.edge-1]",
       {3, "link.open_timeout", "it has no effect", "connect_timeout of [services.NAME]"}},
      {"127.0.0.1:5432", "unix:/run/db", {7, "services.db.target", "cannot carry a reset", ""}},
      {"[\"db\"]", "[\"db\", \"db\"]", {5, "clients.edge-1.services[1]", "stands here twice", ""}},
      {"[admin]",
       "[services.other]\ntarget = \"a:1\"\n[admin]",
       {8, "services.other", "no client may use this service", ""}},
      {"services = [",
       "connections = 20000\nservices = [",
       {5, "clients.edge-1.connections", "more than limits.connections", ""}},
      {"services = [",
       "memory = \"1GiB\"\nservices = [",
       {5, "clients.edge-1.memory", "more than limits.memory", ""}},
      {"[clients.edge-1]\n" + kPskLine + "services = [\"db\"]\n",
       "",
       {1, "clients", "nobody can connect", "[clients.NAME]"}},
      {"[admin]",
       "[clients.x]\npsk_file = \"/x\"\n[admin]",
       {8, "clients.x.services", "may use no service", ""}},
  };
  for (const Mistake& oddity : oddities) {
    const LoadedServer loaded = parsed(replaced(kGood, oddity.old, oddity.with));
    INFO(format_problems(loaded.problems));
    CHECK(loaded.config.has_value());
    require_one(loaded.problems, Severity::warning, oddity.expected);
  }
}

TEST_CASE("two clients cannot share a key, by path or by content") {
  const Folder folder;
  const std::string key = std::string(32, 'a') + ":" + std::string(64, 'b') + "\n";
  folder.write("one.psk", key);
  folder.write("two.psk", key);
  const std::string text = replaced(kGood, "/etc/holdfast/e.psk", "one.psk");
  for (const std::string file : {"one.psk", "two.psk"}) {
    const LoadedServer loaded = load_server_config(folder.write(
        "server.toml", text + "[clients.b]\nservices = [\"db\"]\npsk_file = \"" + file + "\"\n"));
    require_one(loaded.problems, Severity::error,
                {12, "clients.b.psk_file", "clients.edge-1 has the same key", "of its own"});
  }
}

TEST_CASE("a client's exposed secret is a permission problem of the server") {
  const Folder folder;
  folder.write("one.psk", std::string(32, 'a') + ":" + std::string(64, 'b'), 0644);
  const LoadedServer loaded = load_server_config(
      folder.write("server.toml", replaced(kGood, "/etc/holdfast/e.psk", "one.psk")));
  require_one(loaded.problems, Severity::error,
              {4, "clients.edge-1.psk_file", "can be used by others", "chmod 600"});
  CHECK(exit_code(loaded.problems) == 77);
}

}  // namespace
}  // namespace holdfast
