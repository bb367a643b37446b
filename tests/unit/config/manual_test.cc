// docs/man/holdfast.toml.5.scd is the reference of all keys. The loader itself says which there
// are, with what default and range; what the page says must agree.
#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "common/config/key_facts.h"
#include "tests/unit/config/support.h"

namespace holdfast {
namespace {

// The keys of one side in a table, as the page has them: "link" and "links.NAME" share a heading.
struct Entry {
  std::string type;  // what stands behind "="
  std::string text;
  bool used = false;
};

// Entries by "chapter|table|key", a chapter being "BOTH SIDES", "THE CLIENT" or "THE SERVER".
using Manual = std::map<std::string, Entry>;

std::vector<std::string> tables_of(const std::string& heading) {
  if (heading == "Top of the file") return {""};
  std::vector<std::string> tables;
  for (std::size_t at = heading.find('['); at != std::string::npos; at = heading.find('[', at)) {
    const std::size_t end = heading.find(']', at);
    REQUIRE(end != std::string::npos);
    tables.push_back(heading.substr(at + 1, end - at - 1));
    at = end;
  }
  return tables;
}

Manual read_manual() {
  std::istringstream lines(test::from_tree("docs/man/holdfast.toml.5.scd"));
  const std::string chapters = "# KEYS OF ";
  Manual manual;
  std::string chapter;
  std::vector<std::string> tables;
  std::vector<Entry*> current;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# ")) {
      chapter = line.starts_with(chapters) ? line.substr(chapters.size()) : "";
    } else if (line.starts_with("## ")) {
      tables = tables_of(line.substr(3));
    } else if (!chapter.empty() && line.starts_with("*") && line.find("* = ") < 40) {
      const std::size_t end = line.find("* = ");
      current.clear();
      for (const std::string& table : tables) {
        Entry& entry = manual[chapter + "|" + table + "|" + line.substr(1, end - 1)];
        INFO(line);
        CHECK(entry.type.empty());  // else it is there twice
        entry.type = line.substr(end + 4);
        current.push_back(&entry);
      }
    } else if (line.starts_with("\t")) {
      for (Entry* entry : current) entry->text += line.substr(1) + " ";
    } else {
      current.clear();
    }
  }
  return manual;
}

Entry* find(Manual& manual, const std::string& side, const std::string& key) {
  const std::size_t dot = key.rfind('.');
  const std::string table = dot == std::string::npos ? "" : key.substr(0, dot);
  const std::string name = dot == std::string::npos ? key : key.substr(dot + 1);
  for (const std::string& chapter : {side, std::string("BOTH SIDES")}) {
    const auto found = manual.find(chapter + "|" + table + "|" + name);
    if (found != manual.end()) return &found->second;
  }
  return nullptr;
}

// `word` with nothing behind it that would make it another word.
bool says(const std::string& text, const std::string& word) {
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if (end == text.size() || std::string(" .,;").find(text[end]) != std::string::npos) return true;
  }
  return false;
}

void compare(const KeyFact& fact, const Entry& entry) {
  INFO(fact.key << " = " << entry.type << ": " << entry.text);
  CHECK(entry.type == fact.type);
  if (fact.required) CHECK(says(entry.text, "Required"));
  if (!fact.default_value.empty()) {
    CHECK(entry.text.starts_with("Default: "));
    CHECK(says(entry.text, fact.default_value));
    const bool alone = says(entry.text, "Default: " + fact.default_value);
    // Those have a default for each side.
    CHECK((alone || fact.key == "admin.socket" || fact.key == "nft.table"));
  } else {
    const bool told = says(entry.text, "Required") || entry.text.find("efault:") == 1;
    CHECK(told);
  }
  if (!fact.least.empty()) {
    CHECK(says(entry.text, "Range: " + fact.least + " to " + fact.most));
  }
  for (const std::string& word : fact.words) CHECK(says(entry.text, word));
}

std::string reload_words(ReloadEffect effect) {
  switch (effect) {
    case ReloadEffect::at_once:
      return "at once";
    case ReloadEffect::new_connections:
      return "new connections";
    case ReloadEffect::next_carrier:
      return "next carrier";
    case ReloadEffect::listener:
      return "moves at once";
    case ReloadEffect::nft:
      return "when the rules are applied again";
    case ReloadEffect::restart:
      return "needs a restart";
    case ReloadEffect::added:
    case ReloadEffect::taken_away:
      break;  // of sections
  }
  return "?";
}

TEST_CASE("the manual says of every key from when on a reload makes it count") {
  Manual manual = read_manual();
  for (const bool client : {true, false}) {
    for (const KeyFact& fact : client ? client_keys() : server_keys()) {
      INFO(fact.key);
      const Entry* entry = find(manual, client ? "THE CLIENT" : "THE SERVER", fact.key);
      REQUIRE(entry != nullptr);
      CHECK(says(entry->text, "Reload: " + reload_words(fact.reload)));
    }
  }
}

TEST_CASE("the manual has every key there is, with its true type, default and range") {
  Manual manual = read_manual();
  CHECK(manual.size() > 40);
  const std::vector<std::pair<std::string, std::vector<KeyFact>>> sides = {
      {"THE CLIENT", client_keys()}, {"THE SERVER", server_keys()}};
  for (const auto& [side, facts] : sides) {
    CHECK(facts.size() > 25);
    for (const KeyFact& fact : facts) {
      Entry* entry = find(manual, side, fact.key);
      INFO(side << ": " << fact.key);
      REQUIRE(entry != nullptr);
      entry->used = true;
      compare(fact, *entry);
    }
  }
  for (const auto& [key, entry] : manual) {
    INFO(key << " is in the manual, and the loader does not know it");
    CHECK(entry.used);
  }
}

TEST_CASE("the loader tells its keys once each, with defaults and ranges") {
  std::set<std::string> seen;
  for (const KeyFact& fact : client_keys()) {
    INFO(fact.key);
    CHECK(seen.insert(fact.key).second);
  }
  for (const char* key :
       {"name", "link.heartbeat", "links.NAME.heartbeat", "links.NAME.tls.ca_file",
        "services.NAME.link", "admin.group", "log.trace_file"}) {
    INFO(key);
    CHECK(seen.count(key) == 1);
  }
  const std::vector<KeyFact> keys = server_keys();
  const auto grace = std::find_if(keys.begin(), keys.end(),
                                  [](const KeyFact& fact) { return fact.key == "link.grace"; });
  REQUIRE(grace != keys.end());
  CHECK(grace->type == "_duration_");
  CHECK(grace->default_value == "5m");
  CHECK(grace->least == "1s");
  CHECK(grace->most == "7d");
  CHECK_FALSE(grace->required);
}

}  // namespace
}  // namespace holdfast
