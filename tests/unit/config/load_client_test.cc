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
    "name = \"edge-1\"\n"                   // 1
    "[link]\n"                              // 2
    "server = [\"198.51.100.10:7443\"]\n"   // 3
    "psk_file = \"/etc/holdfast/e.psk\"\n"  // 4
    "[services.db]\n"                       // 5
    "listen = \"127.0.0.1:5432\"\n"         // 6
    "[admin]\n"                             // 7
    "socket = \"/run/holdfast/c.sock\"\n";  // 8

LoadedClient parsed(const std::string& text) {
  return parse_client_config(text, "/etc/holdfast/client.toml", Environment::ignored);
}

TEST_CASE(
    "a service that listens where the link's server is would be dialled by the agent itself") {
  const std::string local = replaced(kGood, "198.51.100.10:7443", "127.0.0.1:7443");
  require_one(parsed(replaced(local, "127.0.0.1:5432", "127.0.0.1:7443")).problems, Severity::error,
              {6, "services.db.listen", "the agent would dial itself", "another port"});
  CHECK(parsed(replaced(kGood, "127.0.0.1:5432", "127.0.0.1:7443")).problems.empty());
}

TEST_CASE("a client config without mistakes has every default filled in") {
  const LoadedClient loaded = parsed(kGood);
  INFO(format_problems(loaded.problems));
  CHECK(loaded.problems.empty());
  REQUIRE(loaded.config.has_value());
  const ClientConfig& config = *loaded.config;
  CHECK(config.name == "edge-1");
  CHECK(config.links.at("default").server == std::vector<TcpAddress>{{"198.51.100.10", 7443}});
  CHECK(config.links.at("default").psk_file == "/etc/holdfast/e.psk");
  CHECK_FALSE(config.links.at("default").tls.has_value());
  CHECK_FALSE(config.links.at("default").unsafe_plaintext);
  CHECK(config.links.at("default").heartbeat == seconds(1));
  CHECK(config.links.at("default").dead_after == seconds(15));
  CHECK(config.links.at("default").handshake_timeout == seconds(10));
  CHECK(config.links.at("default").max_window == 16 * kMiB);
  CHECK(config.links.at("default").open_timeout == seconds(30));
  REQUIRE(config.services.size() == 1);
  CHECK(config.services.at("db").listen ==
        std::vector<ListenAddress>{TcpAddress{"127.0.0.1", 5432}});
  CHECK(config.admin.socket == "/run/holdfast/c.sock");
  CHECK_FALSE(config.admin.metrics.has_value());
  CHECK_FALSE(config.admin.group.has_value());
  CHECK(config.limits.memory == 256 * kMiB);
  CHECK(config.limits.connections == 10'000);
  CHECK(config.log.level == LogLevel::info);
  CHECK(config.log.format == LogFormat::text);
  CHECK_FALSE(config.log.file.has_value());
  CHECK_FALSE(config.log.trace_file.has_value());
  CHECK(config.shutdown_timeout == seconds(60));
  CHECK(config.threads == 1);
}

TEST_CASE("what needs libsystemd is refused by key and reason in a build without it") {
  const LoadedClient socket = parsed(replaced(kGood, "127.0.0.1:5432", "systemd:db"));
  const LoadedClient journal =
      parsed(replaced(kGood, "[admin]\n", "[log]\nformat = \"journal\"\n[admin]\n"));
  if (kWithSystemd) {
    CHECK(socket.problems.empty());
    CHECK(journal.problems.empty());
    return;
  }
  require_one(socket.problems, Severity::error,
              {6, "services.db.listen", "no libsystemd, which takes passed sockets", ""});
  require_one(journal.problems, Severity::error,
              {8, "log.format", "no libsystemd, which writes to the journal", "text or json"});
}

TEST_CASE("every key of a client config arrives where it belongs") {
  const LoadedClient loaded = parsed(
      "name = \"A.b_c-9\"\n"
      "shutdown_timeout = \"5m\"\n"
      "threads = 2\n"
      "[link]\n"
      "server = [\"a.example:1\", \"[2001:db8::1]:2\"]\n"
      "heartbeat = \"200ms\"\n"
      "dead_after = \"1s\"\n"
      "handshake_timeout = \"3s\"\n"
      "max_window = \"1MiB\"\n"
      "open_timeout = \"4s\"\n"
      "congestion_control = \"reno\"\n"
      "[link.tls]\n"
      "ca_file = \"/a/ca\"\n"
      "cert_file = \"/a/cert\"\n"
      "key_file = \"credential:key\"\n"
      "server_name = \"hub.example\"\n"
      "[services.a]\n"
      "listen = [\"unix:/run/a.sock\", \"*:5433\"]\n"
      "socket_mode = \"640\"\n"
      "socket_user = \"postgres\"\n"
      "socket_group = \"1000\"\n"
      "[services.b]\n"
      "listen = \"" +
      test::kPassedOrUnix +
      "\"\n"
      "[admin]\n"
      "socket = \"unix:/run/x.sock\"\n"
      "metrics = \"[::1]:9465\"\n"
      "group = \"adm\"\n"
      "user = \"root\"\n"
      "mode = \"0600\"\n"
      "[limits]\n"
      "memory = \"1GiB\"\n"
      "connections = 65536\n"
      "[log]\n"
      "level = \"trace\"\n"
      "format = \"json\"\n"
      "file = \"logs/a.log\"\n"
      "trace_file = \"/var/t\"\n");
  INFO(format_problems(loaded.problems));
  REQUIRE(loaded.config.has_value());
  const ClientConfig& config = *loaded.config;
  CHECK(config.name == "A.b_c-9");
  CHECK(config.shutdown_timeout == seconds(300));
  CHECK(config.threads == 2);
  CHECK(config.links.at("default").server ==
        std::vector<TcpAddress>{{"a.example", 1}, {"2001:db8::1", 2}});
  CHECK(config.links.at("default").heartbeat == milliseconds(200));
  CHECK(config.links.at("default").dead_after == seconds(1));
  CHECK(config.links.at("default").handshake_timeout == seconds(3));
  CHECK(config.links.at("default").max_window == kMiB);
  CHECK(config.links.at("default").open_timeout == seconds(4));
  CHECK(config.links.at("default").congestion_control == "reno");
  CHECK(config.links.at("default").tls ==
        TlsConfig{"/a/ca", "/a/cert", "credential:key", "hub.example"});
  CHECK(config.services.at("a").listen ==
        std::vector<ListenAddress>{UnixAddress{"/run/a.sock"}, TcpAddress{"*", 5433}});
  CHECK(config.services.at("a").socket_mode == FileMode{0640});
  CHECK(config.services.at("a").socket_user == Account{"postgres"});
  CHECK(config.services.at("a").socket_group == Account{"1000"});
  CHECK(config.services.at("b").listen ==
        std::vector<ListenAddress>{*parse_listen_address(test::kPassedOrUnix)});
  CHECK(config.admin.socket == "/run/x.sock");
  CHECK(config.admin.metrics == TcpAddress{"::1", 9465});
  CHECK(config.admin.group == Account{"adm"});
  CHECK(config.admin.user == Account{"root"});
  CHECK(config.admin.mode == FileMode{0600});
  CHECK(config.limits.memory == 1024 * kMiB);
  CHECK(config.limits.connections == 65536);
  CHECK(config.log.level == LogLevel::trace);
  CHECK(config.log.format == LogFormat::json);
  CHECK(config.log.file == "/etc/holdfast/logs/a.log");
  CHECK(config.log.trace_file == "/var/t");
}

TEST_CASE("the simple form is a link named default, and each service uses it") {
  const LoadedClient loaded = parsed(kGood);
  REQUIRE(loaded.config.has_value());
  CHECK(loaded.config->links.size() == 1);
  CHECK(loaded.config->links.count("default") == 1);
  CHECK(loaded.config->services.at("db").link == "default");
  const LoadedClient named = parsed(replaced(kGood, "listen =", "link = \"default\"\nlisten ="));
  CHECK(named.problems.empty());
  CHECK(named.config == loaded.config);
}

TEST_CASE("one server address may stand without an array") {
  const LoadedClient loaded = parsed(replaced(kGood, "[\"198.51.100.10:7443\"]", "\"hub:7443\""));
  REQUIRE(loaded.config.has_value());
  CHECK(loaded.config->links.at("default").server == std::vector<TcpAddress>{{"hub", 7443}});
}

TEST_CASE("the default of connections follows from memory") {
  CHECK(parsed(kGood + "[limits]\nmemory = \"16MiB\"\n").config->limits.connections == 682);
  CHECK(parsed(kGood + "[limits]\nmemory = \"4GiB\"\n").config->limits.connections == 10'000);
}

// Each text is kGood with one part replaced; each has exactly one error.
struct Mistake {
  std::string old;
  std::string with;
  Expected expected;
};

void require_each(const std::vector<Mistake>& mistakes) {
  for (const Mistake& mistake : mistakes) {
    const LoadedClient loaded = parsed(replaced(kGood, mistake.old, mistake.with));
    INFO(mistake.with);
    CHECK_FALSE(loaded.config.has_value());
    require_one(loaded.problems, Severity::error, mistake.expected);
    CHECK(of_severity(loaded.problems, Severity::error)[0].file == "/etc/holdfast/client.toml");
    CHECK(exit_code(loaded.problems) == 78);
  }
}

TEST_CASE("a missing required key names the table it belongs to") {
  require_each({
      {"name = \"edge-1\"\n", "", {1, "name", "it is missing", "name = \"edge-1\""}},
      {"server = [\"198.51.100.10:7443\"]", "", {2, "link.server", "it is missing", "server = ["}},
      {"listen = \"127.0.0.1:5432\"", "", {5, "services.db.listen", "it is missing", "listen = "}},
  });
}

TEST_CASE("an unknown key is told with the nearest known one or with where it belongs") {
  require_each({
      {"name =", "nam = 1\nname =", {1, "nam", "unknown key", "did you mean \"name\"?"}},
      {"psk_file =",
       "hartbeat = \"1s\"\npsk_file =",
       {4, "link.hartbeat", "unknown key", "did you mean \"heartbeat\"?"}},
      {"psk_file =",
       "grace = \"1m\"\npsk_file =",
       {4, "link.grace", "unknown key", "the server's [link] sets it"}},
      {"psk_file =", "zzz = 1\npsk_file =", {4, "link.zzz", "unknown key", "known here: server,"}},
      {"listen =",
       "target = \"a:1\"\nlisten =",
       {6, "services.db.target", "unknown key", "the server's [services.db]"}},
      {"[admin]", "[amdin]", {7, "amdin", "unknown key", "did you mean \"admin\"?"}},
      {"[admin]", "[clients.a]\n[admin]", {7, "clients", "unknown key", "the server's config"}},
      {"socket =", "sokcet =", {8, "admin.sokcet", "unknown key", "did you mean \"socket\"?"}},
      {"[admin]",
       "[limits]\nmemroy = \"1GiB\"\n[admin]",
       {8, "limits.memroy", "unknown key", "\"memory\""}},
      {"[admin]", "[log]\nlevle = \"info\"\n[admin]", {8, "log.levle", "unknown", "\"level\""}},
      {"[admin]", "[log.x]\n[admin]", {7, "log.x", "unknown key", ""}},
  });
}

TEST_CASE("what newcomers write is told with how to write it") {
  const std::string server = "[\"198.51.100.10:7443\"]";
  require_each({
      {"\"edge-1\"", "edge-1", {1, "", "unknown value", "straight quotes"}},
      {"\"edge-1\"",
       "\"edge-1",
       {1, "", test::words("not a valid string", "invalid string format"),
        "the quote it began with"}},
      {"name =", "name:", {1, "", "separator", "write key = value"}},
      {server, "\"https://h:7443\"", {3, "link.server", "it has a scheme; write host:port", ""}},
      {"/etc/holdfast/e.psk", "~/e.psk", {4, "link.psk_file", "~ is not expanded", "whole path"}},
      {"[admin]", "[log]\nfile = \"~/a\"\n[admin]", {8, "log.file", "~ is not expanded", ""}},
      {"\"127.0.0.1:5432\"", "5432", {6, "services.db.listen", "found the integer 5432", ""}},
      {"[admin]", "[admin]\nmetrics = 9465", {8, "admin.metrics", "found the integer", "9465\""}},
      {"psk_file =", "psk = 1\npsk_file =", {4, "link.psk", "unknown key", "mean \"psk_file\""}},
      {"psk_file =", "threads = 1\npsk_file =", {4, "link.threads", "unknown key", "the top of"}},
      {"[services.db]", "[link.hub]\n[services.db]", {5, "link.hub", "unknown", "[links.hub]"}},
      {"[admin]", "[logging]\n[admin]", {7, "logging", "unknown key", "did you mean \"log\"?"}},
      {"[admin]", "[client]\n[admin]", {7, "client", "unknown key", "at the top of the file"}},
      {"[admin]", "[log]\nlevel = \"WARN\"\n[admin]", {8, "log.level", "not one", "\"warn\"?"}},
      {"[services.db]\nlisten = \"127.0.0.1:5432\"",
       "[[services]]\nlisten = \"127.0.0.1:5432\"",
       {5, "services", "found an array", "single brackets"}},
  });
}

TEST_CASE("a wrong type says what was expected and what was found") {
  require_each({
      {"\"edge-1\"", "3", {1, "name", "expected a string, found the integer 3", ""}},
      {"[\"198.51.100.10:7443\"]",
       "7443",
       {3, "link.server", "expected a string or an array of strings, found the integer 7443", ""}},
      {"[\"198.51.100.10:7443\"]",
       "[\"a:1\",\n 5]",
       {4, "link.server[1]", "expected a string, found the integer 5", ""}},
      {"psk_file =",
       "unsafe_plaintext = \"yes\"\npsk_file =",
       {4, "link.unsafe_plaintext", "expected true or false, found the string \"yes\"", ""}},
      {"psk_file = \"/etc/holdfast/e.psk\"",
       "unsafe_plaintext = 1",
       {4, "link.unsafe_plaintext", "expected true or false, found the integer 1", ""}},
      {"\"/etc/holdfast/e.psk\"", "true", {4, "link.psk_file", "found the boolean true", ""}},
      {"\"127.0.0.1:5432\"",
       "[]",
       {6, "services.db.listen", "no address stands in it", "write at least one"}},
      {"\"127.0.0.1:5432\"",
       "[\"127.0.0.1:5432\", 5]",
       {6, "services.db.listen[1]", "expected a string, found the integer 5", ""}},
      {"[services.db]\nlisten = \"127.0.0.1:5432\"",
       "[services]\ndb = \"127.0.0.1:5432\"",
       {6, "services.db", "expected a table, found the string", "write [services.db]"}},
      {"name = \"edge-1\"",
       "name = \"edge-1\"\nlimits = 5",
       {2, "limits", "expected a table, found the integer 5", "write [limits]"}},
      {"[admin]", "[[log]]\n[admin]", {7, "log", "expected a table, found an array", "[log]"}},
      {"[admin]",
       "[limits]\nconnections = \"100\"\n[admin]",
       {8, "limits.connections", "expected a whole number, found the string \"100\"",
        "without quotes"}},
      {"[admin]",
       "[limits]\nconnections = 1.5\n[admin]",
       {8, "limits.connections", "found a number with a fraction", ""}},
      {"[admin]", "[log]\nfile = 1979-05-27\n[admin]", {8, "log.file", "a date or time", ""}},
  });
}

TEST_CASE("a bare number where a unit is needed is refused with the way to write it") {
  require_each({
      {"psk_file =",
       "heartbeat = 30\npsk_file =",
       {4, "link.heartbeat", "expected a duration with its unit", "write \"30s\""}},
      {"psk_file =",
       "heartbeat = \"30\"\npsk_file =",
       {4, "link.heartbeat", "\"30\" has no unit; write \"30s\"", ""}},
      {"psk_file =",
       "max_window = 16\npsk_file =",
       {4, "link.max_window", "expected a size with its unit", "write \"16MiB\""}},
      {"name =", "shutdown_timeout = 60\nname =", {1, "shutdown_timeout", "", "write \"60s\""}},
      {"[admin]",
       "[limits]\nmemory = \"256MB\"\n[admin]",
       {8, "limits.memory", "unknown unit \"MB\"; write \"256MiB\"", ""}},
  });
}

TEST_CASE("a name or a port that cannot be one is told with what can") {
  require_each({
      {"psk_file =",
       "congestion_control = \"no such\"\npsk_file =",
       {4, "link.congestion_control", "\"no such\" is no congestion control", "\"bbr\""}},
      {"7443", "70000", {3, "link.server[0]", "from 1 to 65535", ""}},
      {"5432", "0", {6, "services.db.listen", "from 1 to 65535", ""}},
  });
}

TEST_CASE("dead_after must be longer than heartbeat, given or not") {
  require_each({
      {"psk_file =",
       "heartbeat = \"2s\"\ndead_after = \"2s\"\npsk_file =",
       {5, "link.dead_after", "dead_after (2s) must be longer than heartbeat (2s)", "three"}},
      {"psk_file =",
       "heartbeat = \"20s\"\npsk_file =",
       {4, "link.heartbeat", "dead_after (15s, the default) must be longer", "three"}},
      {"psk_file =",
       "dead_after = \"500ms\"\npsk_file =",
       {4, "link.dead_after", "heartbeat (1s, the default)", "three"}},
  });
  const LoadedClient tight =
      parsed(replaced(kGood, "psk_file =", "dead_after = \"1500ms\"\npsk_file ="));
  CHECK(tight.config.has_value());
  require_one(tight.problems, Severity::warning, {4, "link.dead_after", "twice as long", ""});
}

TEST_CASE("names are restricted and must not be empty") {
  require_each({
      {"edge-1", "", {1, "name", "it is empty", ""}},
      {"edge-1", "edge 1", {1, "name", "\"edge 1\" cannot be a name", "A-Z, a-z, 0-9"}},
      {"edge-1", std::string(65, 'a'), {1, "name", "cannot be a name", "1 to 64"}},
      {"services.db", "services.\"d b\"", {5, "services.d b", "\"d b\" cannot be a name", ""}},
      {"services.db", "services.\"\"", {5, "services.", "\"\" cannot be a name", ""}},
  });
  CHECK(parsed(replaced(kGood, "edge-1", std::string(64, 'a'))).config.has_value());
}

TEST_CASE("a wrong address names its place in the array") {
  require_each({
      {"\"198.51.100.10:7443\"",
       "\"a:1\", \"hub\"",
       {3, "link.server[1]", "\"hub\" is not an address: the port is missing", ""}},
      {"198.51.100.10:7443", "unix:/a", {3, "link.server[0]", "not an address", ""}},
      {"[\"198.51.100.10:7443\"]", "[]", {3, "link.server", "no address", "at least one"}},
      {"127.0.0.1:5432", "unix:a", {6, "services.db.listen", "is absolute", ""}},
      {"[admin]", "[admin]\nmetrics = \"9465\"", {8, "admin.metrics", "port is missing", ""}},
  });
}

TEST_CASE("an address that is used twice names the first use") {
  require_each({
      {"[admin]",
       "[services.other]\nlisten = \"127.0.0.1:5432\"\n[admin]",
       {8, "services.other.listen", "127.0.0.1:5432 is taken by services.db.listen (line 6)", ""}},
      {"[admin]",
       "[services.other]\nlisten = \"0.0.0.0:5432\"\n[admin]",
       {8, "services.other.listen", "is taken by services.db.listen", ""}},
      {"[admin]",
       "[admin]\nmetrics = \"localhost:5432\"",
       {8, "admin.metrics", "is taken by services.db.listen", ""}},
      {"127.0.0.1:5432",
       "unix:/run/holdfast/c.sock",
       {8, "admin.socket", "is taken by services.db.listen", ""}},
      {"[admin]",
       "[services.other]\nlisten = [\"127.0.0.1:1\", \"*:5432\"]\n[admin]",
       {8, "services.other.listen", "*:5432 is taken by services.db.listen (line 6)", ""}},
      {"\"127.0.0.1:5432\"",
       "[\"0.0.0.0:5432\", \"127.0.0.1:5432\"]",
       {6, "services.db.listen", "127.0.0.1:5432 is taken by services.db.listen (line 6)", ""}},
  });
}

TEST_CASE("a link without any key is refused with what to do") {
  require_each({
      {"psk_file = \"/etc/holdfast/e.psk\"\n",
       "",
       {2, "link.psk_file", "the link has no key", "holdfast-client genpsk"}},
      {"psk_file = \"/etc/holdfast/e.psk\"\n",
       "unsafe_plaintext = false\n",
       {2, "link.psk_file", "neither encrypted nor authenticated", "unsafe_plaintext = true"}},
  });
}

TEST_CASE("a pre-shared key and certificates exclude each other") {
  require_each({
      {"[services.db]",
       "[link.tls]\nca_file = \"a\"\ncert_file = \"b\"\nkey_file = \"c\"\n[services.db]",
       {5, "link.tls", "psk_file and [link.tls] exclude each other", "keep the one"}},
  });
}

TEST_CASE("certificates need all their files") {
  require_each({
      {"psk_file = \"/etc/holdfast/e.psk\"\n",
       "[link.tls]\nca_file = \"a\"\nkey_file = \"c\"\n",
       {4, "link.tls.cert_file", "it is missing", "needs ca_file, cert_file and key_file"}},
  });
}

TEST_CASE("a key in place of its path is refused without repeating it") {
  const std::string key = std::string(32, 'a') + ":" + std::string(64, 'b');
  const LoadedClient loaded = parsed(replaced(kGood, "/etc/holdfast/e.psk", key));
  require_one(loaded.problems, Severity::error,
              {4, "link.psk_file", "this is a key, not the path", "mode 600"});
  CHECK(format_problems(loaded.problems).find("bbbb") == std::string::npos);
}

TEST_CASE("a wrong word is told with the right ones") {
  require_each({
      {"[admin]",
       "[log]\nlevel = \"warning\"\n[admin]",
       {8, "log.level", "not one of error, warn, info, debug, trace", ""}},
      {"[admin]",
       "[log]\nlevel = \"inof\"\n[admin]",
       {8, "log.level", "\"inof\" is not one of", "did you mean \"info\"?"}},
      {"[admin]",
       "[log]\nformat = \"yaml\"\n[admin]",
       {8, "log.format", "not one of text, json, journal", ""}},
      {"[admin]",
       "[log]\nfile = \"/a\"\ntrace_file = \"/a\"\n[admin]",
       {9, "log.trace_file", "cannot share a file", ""}},
  });
}

TEST_CASE("more connections than memory holds are refused with both ways out") {
  require_each({
      {"[admin]",
       "[limits]\nmemory = \"64MiB\"\nconnections = 4097\n[admin]",
       {9, "limits.connections", "do not fit in memory = \"64MiB\": each needs 16KiB",
        "at most 2730, or memory = \"97MiB\""}},
  });
  CHECK(parsed(kGood + "[limits]\nmemory = \"64MiB\"\nconnections = 3072\n").problems.empty());
  const LoadedClient tight = parsed(kGood + "[limits]\nmemory = \"64MiB\"\nconnections = 4096\n");
  CHECK(tight.config.has_value());
  require_one(
      tight.problems, Severity::warning,
      {11, "limits.connections", "lets no window grow", "at most 2730, or memory = \"96MiB\""});
}

TEST_CASE("an admin socket path too long for the kernel is refused") {
  require_each({
      {"/run/holdfast/c.sock",
       "/" + std::string(107, 'a'),
       {8, "admin.socket", "at most 107 bytes, this one has 108", ""}},
  });
}

TEST_CASE("all mistakes of a file are told at once") {
  const LoadedClient loaded = parsed(
      "nmae = \"a\"\n"
      "[link]\n"
      "server = [\"hub\"]\n"
      "heartbeat = 5\n"
      "[services.db]\n"
      "listen = 5432\n"
      "[log]\n"
      "level = \"loud\"\n");
  CHECK_FALSE(loaded.config.has_value());
  std::vector<std::string> found;
  for (const Problem& p : of_severity(loaded.problems, Severity::error)) {
    found.push_back(std::to_string(p.line) + " " + p.key);
  }
  std::sort(found.begin(), found.end());
  CHECK(found == std::vector<std::string>{"1 name", "1 nmae", "2 link.psk_file", "3 link.server[0]",
                                          "4 link.heartbeat", "6 services.db.listen",
                                          "8 log.level"});
}

TEST_CASE("a syntax error ends its file with its line") {
  require_each({
      {"[services.db]",
       "[services.db",
       {5, "", test::words("invalid key", "invalid table key"), "write [table]"}},
      {"name = \"edge-1\"", "name = \"edge-1\"\nname = \"b\"", {2, "", "already exists", ""}},
  });
}

TEST_CASE("plaintext is a loud warning and needs no key") {
  const std::string psk = "psk_file = \"/etc/holdfast/e.psk\"\n";
  const LoadedClient alone = parsed(replaced(kGood, psk, "unsafe_plaintext = true\n"));
  REQUIRE(alone.config.has_value());
  CHECK(alone.config->links.at("default").unsafe_plaintext);
  require_one(alone.problems, Severity::warning,
              {4, "link.unsafe_plaintext", "UNSAFE", "only for tests"});
  CHECK(exit_code(alone.problems) == 0);
  const LoadedClient beside = parsed(replaced(kGood, psk, "unsafe_plaintext = true\n" + psk));
  REQUIRE(beside.config.has_value());
  CHECK(beside.config->links.at("default").psk_file == "/etc/holdfast/e.psk");
}

TEST_CASE("what is odd but usable is a warning and leaves the config") {
  const std::vector<Mistake> oddities = {
      {"127.0.0.1:5432",
       "0.0.0.0:5432",
       {6, "services.db.listen", "whoever reaches 0.0.0.0:5432 can use", "127.0.0.1"}},
      {"127.0.0.1:5432",
       "unix:/run/db.sock",
       {6, "services.db.listen", "cannot carry a reset", "TCP address"}},
      {"[services.db]\nlisten = \"127.0.0.1:5432\"\n", "", {1, "services", "there is none", ""}},
      {"[admin]", "[admin]\nmetrics = \"0.0.0.0:1\"", {8, "admin.metrics", "read the metrics", ""}},
      {"[\"198.51.100.10:7443\"]",
       "[\"a:1\", \"a:1\"]",
       {3, "link.server[1]", "stands here twice", ""}},
      {"name = \"edge-1\"\n[link]\n",
       "threads = 4\nname = \"edge-1\"\n[link]\nparallel = 1\n",
       {1, "threads", "more than there is for 1 link to do", "link.parallel"}},
      {"psk_file =",
       "max_window = \"512MiB\"\npsk_file =",
       {4, "link.max_window", "limits.memory is 256MiB", ""}},
      {"[admin]",
       "[log]\nformat = \"journal\"\nfile = \"/a\"\n[admin]",
       {9, "log.file", "the journal takes the log", ""}},
  };
  for (const Mistake& oddity : oddities) {
    if (!kWithSystemd && oddity.expected.key == "log.file") continue;  // it is refused
    const LoadedClient loaded = parsed(replaced(kGood, oddity.old, oddity.with));
    INFO(format_problems(loaded.problems));
    CHECK(loaded.config.has_value());
    require_one(loaded.problems, Severity::warning, oddity.expected);
    CHECK(exit_code(loaded.problems) == 0);
  }
}

TEST_CASE("a client config is loaded from its file with secrets beside it") {
  const Folder folder;
  const std::string key = std::string(32, 'a') + ":" + std::string(64, 'b') + "\n";
  folder.write("e.psk", key);
  const std::string file =
      folder.write("client.toml", replaced(kGood, "/etc/holdfast/e.psk", "e.psk"), 0644);
  const LoadedClient loaded = load_client_config(file);
  INFO(format_problems(loaded.problems));
  REQUIRE(loaded.config.has_value());
  CHECK(loaded.config->links.at("default").psk_file == folder.path() + "/e.psk");
}

TEST_CASE("a secret that others can read ends with a permission problem, in plaintext too") {
  const Folder folder;
  const std::string key = std::string(32, 'a') + ":" + std::string(64, 'b') + "\n";
  const std::string psk = folder.write("e.psk", key, 0644);
  const std::string text = replaced(kGood, "/etc/holdfast/e.psk", psk);
  for (const std::string plaintext : {"", "unsafe_plaintext = true\n"}) {
    const LoadedClient loaded = load_client_config(
        folder.write("client.toml", replaced(text, "psk_file", plaintext + "psk_file")));
    const int line = plaintext.empty() ? 4 : 5;
    require_one(loaded.problems, Severity::error,
                {line, "link.psk_file", "can be used by others", "chmod 600"});
    CHECK(exit_code(loaded.problems) == 77);
  }
}

TEST_CASE("a missing secret is an error, and a warning where plaintext makes it unused") {
  const Folder folder;
  const std::string text = replaced(kGood, "/etc/holdfast/e.psk", "none.psk");
  const LoadedClient needed = load_client_config(folder.write("a.toml", text));
  require_one(needed.problems, Severity::error,
              {4, "link.psk_file", "No such file", "holdfast-client genpsk"});
  CHECK(exit_code(needed.problems) == 78);
  const LoadedClient unused = load_client_config(
      folder.write("a.toml", replaced(text, "psk_file", "unsafe_plaintext = true\npsk_file")));
  CHECK(unused.config.has_value());
  CHECK(of_severity(unused.problems, Severity::warning).size() == 2);
}

TEST_CASE("certificate files must be there and their key private") {
  const Folder folder;
  const std::string psk = "psk_file = \"/etc/holdfast/e.psk\"\n";
  folder.write("ca", "x", 0644);
  folder.write("cert", "x", 0644);
  const std::string text = replaced(
      kGood, psk, "[link.tls]\nca_file = \"ca\"\ncert_file = \"cert\"\nkey_file = \"key\"\n");
  folder.write("key", "x", 0600);
  const LoadedClient good = load_client_config(folder.write("a.toml", text));
  INFO(format_problems(good.problems));
  REQUIRE(good.config.has_value());
  CHECK(good.config->links.at("default").tls->ca_file == folder.path() + "/ca");
  // What they hold is for others to look at, who are told where each is named.
  REQUIRE(good.tls_tables.size() == 1);
  const TlsTable& named = good.tls_tables.front();
  CHECK(named.ca.path == folder.path() + "/ca");
  CHECK(named.key.path == folder.path() + "/key");
  CHECK(named.certificate.place.line == 6);
  CHECK(named.certificate.place.key == "link.tls.cert_file");
  folder.write("key", "x", 0644);
  const LoadedClient open = load_client_config(folder.path() + "/a.toml");
  require_one(open.problems, Severity::error, {7, "link.tls.key_file", "used by others", "chmod"});
  CHECK(exit_code(open.problems) == 77);
  folder.write("key", "x", 0600);
  REQUIRE(unlink((folder.path() + "/ca").c_str()) == 0);
  const LoadedClient none = load_client_config(folder.path() + "/a.toml");
  require_one(none.problems, Severity::error, {5, "link.tls.ca_file", "No such file", ""});
}

TEST_CASE("a group that this machine does not have is an error") {
  const Folder folder;
  folder.write("e.psk", std::string(32, 'a') + ":" + std::string(64, 'b'));
  const std::string text = replaced(kGood, "/etc/holdfast/e.psk", "e.psk");
  const LoadedClient none =
      load_client_config(folder.write("a.toml", text + "group = \"no-such-group-here\"\n"));
  require_one(none.problems, Severity::error, {9, "admin.group", "there is no group", "groupadd"});
  CHECK(load_client_config(folder.write("a.toml", text + "group = \"root\"\n")).config.has_value());
}

TEST_CASE("a file that cannot be read is one problem without a line") {
  const Folder folder;
  struct Case {
    std::string path;
    std::string reason;
  };
  const std::vector<Case> cases = {
      {folder.path() + "/none.toml", "No such file"},
      {folder.path(), "is a folder"},
      {"/dev/zero", "not a regular file"},
      {folder.write("big.toml", std::string((1 << 20) + 1, '#')), "too large"},
  };
  for (const Case& c : cases) {
    const LoadedClient loaded = load_client_config(c.path);
    CHECK_FALSE(loaded.config.has_value());
    require_one(loaded.problems, Severity::error, {0, "", c.reason, ""});
    CHECK(loaded.problems[0].file == c.path);
  }
}

}  // namespace
}  // namespace holdfast
