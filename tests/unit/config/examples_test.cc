// The example files are the reference that people copy from: they must load, name every key, and
// tell the truth about the defaults.
#include <set>
#include <sstream>

#include "common/config/key_facts.h"
#include "common/config/load.h"
#include "tests/unit/config/support.h"

namespace holdfast {
namespace {

using test::Folder;
using test::of_severity;
using test::replaced;

std::string example(const std::string& name) {
  return test::from_tree("config/" + name);
}

// With every "#key = ..." and "#[table]" line in force; prose ("# ...") stays a comment.
std::string uncommented(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  std::string out;
  while (std::getline(lines, line)) {
    const bool setting = line.size() > 1 && line[0] == '#' && line[1] != ' ' && line[1] != '#';
    out += (setting ? line.substr(1) : line) + "\n";
  }
  return out;
}

LoadedClient client(const std::string& text) {
  return parse_client_config(text, "/etc/holdfast/client.toml", Environment::ignored);
}
LoadedServer server(const std::string& text) {
  return parse_server_config(text, "/etc/holdfast/server.toml", Environment::ignored);
}

TEST_CASE("the example configs load without a problem") {
  for (const char* name : {"client.toml", "quickstart/client.toml"}) {
    const LoadedClient loaded = client(example(name));
    INFO(format_problems(loaded.problems));
    CHECK(loaded.config.has_value());
    CHECK(loaded.problems.empty());
  }
  for (const char* name : {"server.toml", "quickstart/server.toml"}) {
    const LoadedServer loaded = server(example(name));
    INFO(format_problems(loaded.problems));
    CHECK(loaded.config.has_value());
    CHECK(loaded.problems.empty());
  }
}

template <typename Service>
void forget_patience(Service& service) {
  for (auto* patience : {&service.keepalive, &service.idle_timeout, &service.half_close_timeout}) {
    CHECK(patience->has_value());
    patience->reset();
  }
}

void forget_what_has_no_default(ClientServiceConfig& service) {
  forget_patience(service);
  CHECK(service.socket_mode.has_value());
  CHECK(service.socket_user.has_value());
  CHECK(service.socket_group.has_value());
  service.socket_mode.reset();
  service.socket_user.reset();
  service.socket_group.reset();
}

TEST_CASE("the client example shows true defaults") {
  const std::string text = example("client.toml");
  const std::string psk = "psk_file = \"/etc/holdfast/edge-1.psk\"\n";
  const LoadedClient all = client(replaced(uncommented(text), psk, ""));
  INFO(format_problems(all.problems));
  REQUIRE(all.config.has_value());
  ClientConfig expected = *client(text).config;
  ClientConfig config = *all.config;
  // What has no default stands there as an example only.
  ClientLinkConfig& link = config.links.at("default");
  CHECK(link.tls.has_value());
  CHECK(config.admin.group.has_value());
  CHECK(config.admin.metrics.has_value());
  CHECK(config.admin.user.has_value());
  forget_what_has_no_default(config.services.at("postgres"));
  CHECK(config.log.file.has_value());
  CHECK(config.log.trace_file.has_value());
  CHECK(link.congestion_control.has_value());
  link.congestion_control.reset();
  link.sni.reset();
  link.tls = expected.links.at("default").tls;
  link.psk_file = expected.links.at("default").psk_file;
  config.admin = AdminConfig{config.admin.socket, std::nullopt, std::nullopt};
  config.log.file.reset();
  config.log.trace_file.reset();
  CHECK(config == expected);
}

TEST_CASE("the server example shows true defaults") {
  const std::string text = example("server.toml");
  const LoadedServer all = server(uncommented(text));
  INFO(format_problems(all.problems));
  REQUIRE(all.config.has_value());
  ServerConfig expected = *server(text).config;
  ServerConfig config = *all.config;
  CHECK(config.name == "hub-1");
  CHECK(config.link.heartbeat == kDefaultHeartbeat);
  CHECK(config.link.dead_after == kDefaultDeadAfter);
  CHECK(config.link.tls.has_value());
  CHECK(config.link.congestion_control.has_value());
  config.link.congestion_control.reset();
  CHECK(config.link.home.has_value());
  config.link.home.reset();
  config.link.home_address.reset();
  config.link.accept_proxy_from.clear();
  CHECK(config.clients.at("edge-1").links == kDefaultClientLinks);
  CHECK(config.services.at("postgres").grace.has_value());
  forget_patience(config.services.at("postgres"));
  CHECK(config.admin.metrics.has_value());
  config.name = expected.name;
  config.link.heartbeat.reset();
  config.link.dead_after.reset();
  config.link.tls.reset();
  config.clients = expected.clients;
  config.services.at("postgres").grace.reset();
  config.admin = AdminConfig{config.admin.socket, std::nullopt, std::nullopt};
  config.log.file.reset();
  config.log.trace_file.reset();
  CHECK(config == expected);
}

// Every line "key = ..." of the text as a dotted key; the names of tables that people choose are
// NAME.
std::set<std::string> keys_in(const std::string& text) {
  std::istringstream lines(text);
  std::set<std::string> keys;
  std::string table;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t equals = line.find(" = ");
    if (line.starts_with("[")) {
      table = line.substr(1, line.find(']') - 1) + ".";
      for (const std::string kind : {"services.", "clients.", "links."}) {
        if (!table.starts_with(kind)) continue;
        table.replace(kind.size(), table.find('.', kind.size()) - kind.size(), "NAME");
      }
    } else if (equals != std::string::npos && line[0] != '#') {
      keys.insert(table + line.substr(0, equals));
    }
  }
  return keys;
}

// Those of [links.NAME] are those of [link].
void require_every_key_shown(const std::string& text, const std::vector<KeyFact>& facts) {
  const std::set<std::string> shown = keys_in(uncommented(text));
  CHECK(facts.size() > 25);
  for (const KeyFact& fact : facts) {
    INFO(fact.key);
    if (!fact.key.starts_with("links.NAME.")) CHECK(shown.count(fact.key) == 1);
  }
}

TEST_CASE("the examples show every key there is") {
  require_every_key_shown(example("client.toml"), client_keys());
  CHECK_THAT(example("client.toml"), ContainsSubstring("# [links."));
  require_every_key_shown(example("server.toml"), server_keys());
}

TEST_CASE("the quick start works with a key beside its files, and its two sides fit") {
  const Folder folder;
  folder.write("demo.psk", std::string(32, 'a') + ":" + std::string(64, 'b') + "\n");
  const LoadedClient c =
      load_client_config(folder.write("client.toml", example("quickstart/client.toml")));
  const LoadedServer s =
      load_server_config(folder.write("server.toml", example("quickstart/server.toml")));
  INFO(format_problems(c.problems) << format_problems(s.problems));
  REQUIRE(c.config.has_value());
  REQUIRE(s.config.has_value());
  CHECK(c.problems.empty());
  CHECK(s.problems.empty());
  CHECK(ListenAddress(c.config->links.at("default").server.at(0)) == s.config->link.listen.at(0));
  REQUIRE(s.config->clients.count(c.config->name) == 1);
  for (const auto& [name, service] : c.config->services) {
    CHECK(s.config->services.count(name) == 1);
  }
}

}  // namespace
}  // namespace holdfast
