// Walks the table of keys: each has the default, the range and the reload effect that its page
// says, and its value arrives in one member of the config and in no other.
#include "common/config/keys.h"

#include <map>
#include <type_traits>

#include "common/config/changes.h"
#include "common/config/key_facts.h"
#include "common/config/load.h"
#include "common/config/units.h"
#include "tests/unit/config/support.h"

namespace holdfast {
namespace {

// A config file, a table after the other.
class Document {
 public:
  void set(const std::string& key, const std::string& value) {
    const std::size_t dot = key.rfind('.');
    const std::string table = dot == std::string::npos ? "" : key.substr(0, dot);
    tables_[table][key.substr(dot + 1)] = value;
  }
  // A table that is empty then stays where `keep` says so.
  void drop(const std::string& key, bool keep = false) {
    const std::size_t dot = key.rfind('.');
    const std::string table = dot == std::string::npos ? "" : key.substr(0, dot);
    tables_[table].erase(key.substr(dot + 1));
    if (tables_[table].empty() && !keep) tables_.erase(table);
  }

  std::string text() const {
    std::string text;
    for (const auto& [table, keys] : tables_) {
      if (!table.empty()) text += "[" + table + "]\n";
      for (const auto& [key, value] : keys) text += key + " = " + value + "\n";
    }
    return text;
  }
  // The line of a key in the text.
  int line_of(const std::string& key) const {
    int line = 0;
    for (const auto& [table, keys] : tables_) {
      if (!table.empty()) ++line;
      for (const auto& [name, value] : keys) {
        ++line;
        if ((table.empty() ? name : table + "." + name) == key) return line;
      }
    }
    return 0;
  }

 private:
  std::map<std::string, std::map<std::string, std::string>> tables_;
};

struct ClientSide {
  static std::vector<KeyFact> keys() { return client_keys(); }
  static LoadedClient load(const std::string& text) {
    return parse_client_config(text, "/etc/holdfast/client.toml", Environment::ignored);
  }
  // The least that a config needs.
  static Document document(const std::string& key) {
    Document document;
    document.set("name", "\"edge-1\"");
    document.set("services.NAME.listen", "\"127.0.0.1:5432\"");
    const std::string link = key.starts_with("links.NAME.") ? "links.NAME" : "link";
    document.set(link + ".server", "[\"198.51.100.10:7443\"]");
    document.set(link + ".psk_file", "\"/etc/holdfast/edge-1.psk\"");
    return document;
  }
};

struct ServerSide {
  static std::vector<KeyFact> keys() { return server_keys(); }
  static LoadedServer load(const std::string& text) {
    return parse_server_config(text, "/etc/holdfast/server.toml", Environment::ignored);
  }
  static Document document(const std::string&) {
    Document document;
    document.set("name", "\"hub-1\"");
    document.set("link.listen", "[\"0.0.0.0:7443\"]");
    document.set("clients.NAME.psk_file", "\"/etc/holdfast/edge-1.psk\"");
    document.set("clients.NAME.services", "[\"NAME\"]");
    document.set("services.NAME.target", "\"127.0.0.1:5432\"");
    return document;
  }
};

// What a key needs beside it, whatever its own value: rules between keys.
void add_companions(const std::string& key, bool client, Document& document) {
  auto set = [&](const std::string& other, const std::string& value) {
    if (other != key) document.set(other, value);
  };
  const std::size_t tls = key.find(".tls.");
  if (tls != std::string::npos) {
    const std::string table = key.substr(0, tls) + ".tls.";
    if (client) document.drop(key.substr(0, tls) + ".psk_file");
    for (const char* file : {"ca_file", "cert_file", "key_file"}) {
      document.set(table + file, "\"/a\"");
    }
  }
  const std::string link = key.substr(0, key.rfind('.'));
  if (key.ends_with(".heartbeat")) set(link + ".dead_after", "\"1d\"");
  if (key.ends_with(".dead_after")) set(link + ".heartbeat", "\"10ms\"");
  // As many as by default, which follows from the memory.
  if (key == "limits.memory") set("limits.connections", "100");
  if (key == "limits.connections") set("limits.memory", "\"1TiB\"");
  if (!client && key == "services.NAME.source") set("clients.NAME.sources", "\"10.0.0.0/8\"");
  if (key == "link.accept_proxy") document.set("link.accept_proxy_from", "\"10.0.0.5\"");
  if (!client) return;
  if (key == "services.NAME.match" || key == "services.NAME.travel" ||
      key == "services.NAME.mode") {
    document.set("services.NAME.mode", "\"redirect\"");
    set("services.NAME.listen", "\"127.0.0.1:15001\"");
    document.set("services.NAME.match", "\"10.0.5.0/24:5432\"");
  }
  if (key == "services.NAME.accept_proxy") {
    document.set("services.NAME.accept_proxy_from", "\"10.0.0.5\"");
  }
  if (key == "services.NAME.link") {
    document.drop("link.server");
    document.drop("link.psk_file");
    for (const char* name : {"links.a.", "links.b."}) {
      document.set(std::string(name) + "server", "\"h:1\"");
      document.set(std::string(name) + "psk_file", "\"/p\"");
    }
  }
}

// A value to try: as a file writes it, and as a change tells it.
struct Sample {
  std::string value;
  std::string shown;
};

Sample quoted(const std::string& text) {
  return {"\"" + text + "\"", text};
}

// Of kinds without a range or words, by the key's last part.
const std::map<std::string, Sample> kSamples = {
    {"name", quoted("other-1")},
    {"socket", quoted("/run/x.sock")},
    {"group", quoted("adm")},
    {"user", quoted("root")},
    {"mode", quoted("0600")},
    {"socket_mode", quoted("0600")},
    {"socket_user", quoted("root")},
    {"socket_group", quoted("adm")},
    {"metrics", quoted("127.0.0.1:9999")},
    {"table", quoted("mine")},
    {"file", quoted("/var/log/a.log")},
    {"trace_file", quoted("/var/log/a.trace")},
    {"server", {"[\"a:1\", \"[2001:db8::1]:2\"]", "[a:1, [2001:db8::1]:2]"}},
    {"psk_file", quoted("/etc/other.psk")},
    {"ca_file", quoted("/etc/ca.pem")},
    {"cert_file", quoted("/etc/cert.pem")},
    {"key_file", quoted("/etc/key.pem")},
    {"server_name", quoted("hub.example")},
    {"congestion_control", quoted("reno")},
    {"link", quoted("b")},
    {"listen", quoted("127.0.0.1:6543")},
    {"match", {"[\"10.0.5.7:1\", \"10.0.6.0/24:*\"]", "[10.0.5.7:1, 10.0.6.0/24:*]"}},
    {"accept_proxy_from", {"\"10.0.0.5\"", "[10.0.0.5]"}},
    {"sni", quoted("hub.example")},
    {"home", quoted("hub-1.hub.example")},
    {"home_address", quoted("hub-1.example:7443")},
    {"exclude", {"[\"uid:a\", \"mark:7\"]", "[uid:a, mark:7]"}},
    {"services", {"[]", "[]"}},
    {"allow", {"\"10.0.5.0/24:5432\"", "[10.0.5.0/24:5432]"}},
    {"sources", {"[\"10.0.0.0/8\"]", "[10.0.0.0/8]"}},
    {"expires", quoted("2026-12-31T18:00:00Z")},
    {"target", quoted("backend.example:5433")},
};

// Every value of the key that is worth a try: the ends of its range, all its words.
std::vector<Sample> samples_of(const KeyFact& fact) {
  auto written = [&](const std::string& text) {
    return fact.quoted ? quoted(text) : Sample{text, text};
  };
  // The others go with a match, or without one.
  if (fact.key == "services.NAME.mode") return {written("tproxy")};
  if (fact.type == "*true* or *false*") return {written("true"), written("false")};
  std::vector<Sample> samples;
  for (const std::string& word : fact.words) samples.push_back(written(word));
  if (!fact.least.empty() && fact.type.starts_with("_number_")) {
    samples.push_back({fact.least, fact.least});
    samples.push_back({fact.most, fact.most});
  } else if (!fact.least.empty()) {
    samples = {written(fact.least), written(fact.most)};
  }
  if (!samples.empty()) return samples;
  const auto sample = kSamples.find(fact.name);
  INFO(fact.key << " needs a sample in this test");
  REQUIRE(sample != kSamples.end());
  Sample one = sample->second;
  if (fact.name == "listen" && fact.type.find("array") != std::string::npos) {
    one.shown = "[" + one.shown + "]";
  }
  return {one};
}

// Just outside of its range, as a file writes it.
std::vector<std::string> outside_of(const KeyFact& fact) {
  if (fact.type == "_duration_") {
    const Duration least = *parse_duration(fact.least);
    const std::string more = format_duration(*parse_duration(fact.most) + milliseconds(1));
    if (least == Duration{}) return {more};
    return {format_duration(least - milliseconds(1)), more};
  }
  if (fact.type == "_size_") {
    return {std::to_string(*parse_size(fact.least) - 1) + "B",
            std::to_string(*parse_size(fact.most) + 1) + "B"};
  }
  return {std::to_string(std::stoll(fact.least) - 1), std::to_string(std::stoll(fact.most) + 1)};
}

template <typename Side>
void walk_values() {
  const bool client = std::is_same_v<Side, ClientSide>;
  for (const KeyFact& fact : Side::keys()) {
    INFO(fact.key);
    Document without = Side::document(fact.key);
    add_companions(fact.key, client, without);
    if (fact.name == "link" && fact.key == "services.NAME.link") without.set(fact.key, "\"a\"");
    const auto before = Side::load(without.text());
    INFO(without.text() << format_problems(before.problems));
    REQUIRE(before.config);
    bool changed = false;
    for (const Sample& sample : samples_of(fact)) {
      if (!kWithSystemd && sample.shown == "journal") continue;  // refused: load_client_test.cc
      Document with = without;
      with.set(fact.key, sample.value);
      const auto after = Side::load(with.text());
      INFO(with.text() << format_problems(after.problems));
      REQUIRE(after.config);
      const auto found = changes(*before.config, *after.config);
      if (found.empty()) {
        CHECK(sample.shown == fact.default_value);
        continue;
      }
      changed = true;
      CHECK(found.size() == 1);
      CHECK(found[0].key == fact.key);
      CHECK(found[0].after == sample.shown);
      CHECK(found[0].effect == fact.reload);
      // What runs after the reload: the new value, unless that needs a restart.
      const auto runs = until_restart(*before.config, *after.config);
      CHECK(changes(*before.config, runs).empty() == (fact.reload == ReloadEffect::restart));
      CHECK(runs == (fact.reload == ReloadEffect::restart ? *before.config : *after.config));
    }
    CHECK(changed);
  }
}

TEST_CASE("every value of a key arrives, alone, and counts when its page says so") {
  walk_values<ClientSide>();
  walk_values<ServerSide>();
}

template <typename Side>
void walk_mistakes() {
  const bool client = std::is_same_v<Side, ClientSide>;
  for (const KeyFact& fact : Side::keys()) {
    Document document = Side::document(fact.key);
    add_companions(fact.key, client, document);
    auto require_refused = [&](const std::string& value, const std::string& reason) {
      document.set(fact.key, value);
      const auto loaded = Side::load(document.text());
      const std::vector<Problem> errors = test::of_severity(loaded.problems, Severity::error);
      INFO(document.text() << format_problems(loaded.problems));
      CHECK_FALSE(loaded.config);
      REQUIRE_FALSE(errors.empty());
      CHECK(errors[0].file.starts_with("/etc/holdfast/"));
      CHECK(errors[0].line == document.line_of(fact.key));
      CHECK(errors[0].key == fact.key);
      CHECK_THAT(errors[0].reason, ContainsSubstring(reason));
    };
    require_refused("1.5", "expected ");
    require_refused("{}", "expected ");
    if (!fact.words.empty()) require_refused("\"nonsense\"", "is not one of ");
    if (fact.least.empty()) continue;
    for (const std::string& value : outside_of(fact)) {
      bool as_text = fact.quoted && !fact.type.starts_with("_number_");
      require_refused(as_text ? "\"" + value + "\"" : value,
                      "is out of range: at least " + fact.least + ", at most " + fact.most);
    }
  }
}

TEST_CASE("a value of a wrong type or out of range is refused with its place and the range") {
  walk_mistakes<ClientSide>();
  walk_mistakes<ServerSide>();
}

template <typename Side>
void walk_required() {
  const bool client = std::is_same_v<Side, ClientSide>;
  for (const KeyFact& fact : Side::keys()) {
    Document document = Side::document(fact.key);
    add_companions(fact.key, client, document);
    document.set(fact.key, samples_of(fact).front().value);
    document.drop(fact.key, true);
    const auto loaded = Side::load(document.text());
    INFO(document.text() << format_problems(loaded.problems));
    const bool missing =
        std::any_of(loaded.problems.begin(), loaded.problems.end(), [&](const Problem& problem) {
          return problem.key == fact.key && problem.reason == "it is missing";
        });
    // A service's link and destinations are required beside other keys only.
    if (fact.key != "services.NAME.link" && fact.key != "services.NAME.match") {
      CHECK(missing == fact.required);
    }
  }
}

TEST_CASE("a required key is missed, and no other") {
  walk_required<ClientSide>();
  walk_required<ServerSide>();
}

TEST_CASE("a key has a text for people, and an example where it has no default") {
  for (const auto& keys : {client_keys(), server_keys()}) {
    for (const KeyFact& fact : keys) {
      INFO(fact.key);
      CHECK_FALSE(fact.type.empty());
      CHECK_FALSE((fact.text.empty() && fact.words.empty()));
      CHECK_FALSE((fact.default_value.empty() && fact.example.empty()));
      CHECK((fact.text.empty() || fact.text.ends_with(".")));
    }
  }
}

// How many members an aggregate has: each may be written as {}. Sixteen are enough.
template <typename T>
constexpr std::size_t members_of() {
  if (requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; }) return 16;
  if (requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; }) return 15;
  if (requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; }) return 14;
  if (requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; }) return 13;
  if (requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; }) return 12;
  if (requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; }) return 11;
  if (requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}}; }) return 10;
  if (requires { T{{}, {}, {}, {}, {}, {}, {}, {}, {}}; }) return 9;
  if (requires { T{{}, {}, {}, {}, {}, {}, {}, {}}; }) return 8;
  if (requires { T{{}, {}, {}, {}, {}, {}, {}}; }) return 7;
  if (requires { T{{}, {}, {}, {}, {}, {}}; }) return 6;
  if (requires { T{{}, {}, {}, {}, {}}; }) return 5;
  if (requires { T{{}, {}, {}, {}}; }) return 4;
  if (requires { T{{}, {}, {}}; }) return 3;
  if (requires { T{{}, {}}; }) return 2;
  return 0;
}

// What the program reads is what a file can say: a member that no key fills is one too many.
TEST_CASE("every member of a section has its key") {
  CHECK(members_of<CommonConfig>() == top_keys(Side::client).keys.size() + 4);  // and its tables
  CHECK(members_of<AdminConfig>() == admin_keys(Side::client).keys.size());
  CHECK(members_of<LimitsConfig>() == limits_keys(Side::client).keys.size());
  CHECK(members_of<LogConfig>() == log_keys(Side::client).keys.size());
  CHECK(members_of<NftConfig>() ==
        nft_keys(Side::client).keys.size() + client_nft_keys().keys.size());
  CHECK(members_of<TlsConfig>() == client_tls_keys().keys.size());
  CHECK(members_of<ClientLinkConfig>() == client_link_keys().keys.size() + 1);  // and [link.tls]
  CHECK(members_of<ClientServiceConfig>() == client_service_keys().keys.size());
  CHECK(members_of<ServerLinkConfig>() == server_link_keys().keys.size() + 1);
  CHECK(members_of<PeerConfig>() == server_client_keys().keys.size());
  CHECK(members_of<ServerServiceConfig>() == server_service_keys().keys.size());
}

}  // namespace
}  // namespace holdfast
