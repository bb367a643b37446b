// A client agent's links: one in the simple form, or several by name.
#include "common/config/load.h"
#include "tests/unit/config/support.h"

namespace holdfast {
namespace {

using test::Expected;
using test::of_severity;
using test::replaced;
using test::require_one;

// Line numbers in the tests below count from here.
const std::string kTwo =
    "name = \"edge-1\"\n"                 // 1
    "[links.hub-1]\n"                     // 2
    "server = [\"198.51.100.1:7443\"]\n"  // 3
    "psk_file = \"/etc/holdfast/1\"\n"    // 4
    "[links.hub-2]\n"                     // 5
    "server = [\"198.51.100.2:7443\"]\n"  // 6
    "psk_file = \"/etc/holdfast/2\"\n"    // 7
    "[services.db]\n"                     // 8
    "link = \"hub-1\"\n"                  // 9
    "listen = \"127.0.0.1:5432\"\n"       // 10
    "[services.ssh]\n"                    // 11
    "link = \"hub-2\"\n"                  // 12
    "listen = \"127.0.0.1:2222\"\n";      // 13

LoadedClient parsed(const std::string& text) {
  return parse_client_config(text, "/etc/holdfast/client.toml", Environment::ignored);
}

void require_error(const std::string& text, const Expected& expected) {
  INFO(text);
  const LoadedClient loaded = parsed(text);
  CHECK_FALSE(loaded.config.has_value());
  require_one(loaded.problems, Severity::error, expected);
}

TEST_CASE("several links stand by name, and each service says which it uses") {
  const LoadedClient loaded = parsed(kTwo);
  INFO(format_problems(loaded.problems));
  CHECK(loaded.problems.empty());
  REQUIRE(loaded.config.has_value());
  const ClientConfig& config = *loaded.config;
  REQUIRE(config.links.size() == 2);
  CHECK(config.links.at("hub-1").server == std::vector<TcpAddress>{{"198.51.100.1", 7443}});
  CHECK(config.links.at("hub-1").psk_file == "/etc/holdfast/1");
  CHECK(config.links.at("hub-1").dead_after == kDefaultDeadAfter);
  CHECK(config.links.at("hub-2").server == std::vector<TcpAddress>{{"198.51.100.2", 7443}});
  CHECK(config.services.at("db").link == "hub-1");
  CHECK(config.services.at("ssh").link == "hub-2");
}

TEST_CASE("keys of one link are not those of another") {
  const LoadedClient loaded =
      parsed(replaced(kTwo, "[links.hub-2]\n", "[links.hub-2]\nheartbeat = \"3s\"\n"));
  REQUIRE(loaded.config.has_value());
  CHECK(loaded.config->links.at("hub-1").heartbeat == kDefaultHeartbeat);
  CHECK(loaded.config->links.at("hub-2").heartbeat == seconds(3));
}

TEST_CASE("a single named link need not be named by its services") {
  const LoadedClient loaded = parsed(
      "name = \"e\"\n[links.hub]\nserver = \"h:1\"\npsk_file = \"/p\"\n"
      "[services.db]\nlisten = \"127.0.0.1:1\"\n");
  INFO(format_problems(loaded.problems));
  CHECK(loaded.problems.empty());
  REQUIRE(loaded.config.has_value());
  CHECK(loaded.config->services.at("db").link == "hub");
}

TEST_CASE("with several links a service without one is an error that lists them") {
  require_error(
      replaced(kTwo, "link = \"hub-1\"\n", ""),
      {8, "services.db.link", "it is missing", "there are several: \"hub-1\", \"hub-2\""});
}

TEST_CASE("an unknown link is an error with the nearest known one, or with all") {
  require_error(replaced(kTwo, "link = \"hub-1\"", "link = \"hub-3\""),
                {9, "services.db.link", "no link \"hub-3\"", "did you mean \"hub-1\"?"});
  require_error(replaced(kTwo, "link = \"hub-1\"", "link = \"elsewhere\""),
                {9, "services.db.link", "no link", "there is \"hub-1\", \"hub-2\""});
}

TEST_CASE("both forms together are an error that says what to do") {
  require_error(
      replaced(kTwo, "[links.hub-1]", "[link]\nserver = \"h:1\"\npsk_file = \"/p\"\n[links.hub-1]"),
      {5, "links", "[link] and [links.NAME] exclude each other", "[links.NAME]"});
}

TEST_CASE("a table of links without any is an error") {
  require_error("name = \"e\"\n[links]\n[services.db]\nlisten = \"127.0.0.1:1\"\n",
                {2, "links", "no link stands in it", "add [links.NAME]"});
}

TEST_CASE("a mistake in a link names that link, and a service of it is not blamed") {
  require_error(replaced(kTwo, "server = [\"198.51.100.2:7443\"]\n", ""),
                {5, "links.hub-2.server", "it is missing", ""});
  require_error(replaced(kTwo, "psk_file = \"/etc/holdfast/2\"\n", ""),
                {5, "links.hub-2.psk_file", "the link has no key", "[links.hub-2.tls]"});
  require_error(
      "name = \"e\"\n[links]\nhub = 5\n[services.db]\nlink = \"hub\"\nlisten = \"127.0.0.1:1\"\n",
      {3, "links.hub", "expected a table, found the integer 5", "write [links.hub]"});
}

TEST_CASE("a link that no service uses is a warning") {
  const LoadedClient loaded = parsed(replaced(kTwo, "link = \"hub-2\"", "link = \"hub-1\""));
  CHECK(loaded.config.has_value());
  require_one(loaded.problems, Severity::warning,
              {5, "links.hub-2", "no service uses this link", "link = \"hub-2\""});
}

TEST_CASE("a link is not called unused where a service's link is mistyped") {
  const LoadedClient loaded = parsed(replaced(kTwo, "link = \"hub-2\"", "link = 2"));
  CHECK_FALSE(loaded.config.has_value());
  CHECK(of_severity(loaded.problems, Severity::warning).empty());
}

}  // namespace
}  // namespace holdfast
