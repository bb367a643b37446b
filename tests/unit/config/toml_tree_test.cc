#include "common/config/toml_tree.h"

#include <string>
#include <string_view>
#include <vector>

#include "tests/catch.h"
#include "tests/unit/config/support.h"

namespace holdfast {

using namespace test;

namespace {

TomlFault fault_of(const std::string& text) {
  const auto parsed = parse_toml(text);
  INFO(text);
  REQUIRE(std::holds_alternative<TomlFault>(parsed));
  return std::get<TomlFault>(parsed);
}

const TomlNode& member(const TomlNode& node, std::string_view key) {
  for (const TomlMember& m : std::get<TomlTable>(node.value)) {
    if (m.key == key) return m.node;
  }
  throw std::runtime_error("no member " + std::string(key));
}

TEST_CASE("values keep their type and their line") {
  const auto parsed = parse_toml(
      "# comment\n"
      "name = \"a\"\n"
      "\n"
      "[link]\n"
      "server = [\n"
      "  \"x\",\n"
      "  \"y\" ]\n"
      "[services.web]\n"
      "n = 3\n"
      "f = 1.5\n"
      "b = true\n"
      "d = 1979-05-27\n"
      "[link.tls]\n");
  const TomlNode& root = std::get<TomlNode>(parsed);
  CHECK(member(root, "name").line == 2);
  CHECK(std::get<std::string>(member(root, "name").value) == "a");
  const TomlNode& link = member(root, "link");
  CHECK(link.line == 4);
  CHECK(member(link, "tls").line == 13);
  const TomlNode& server = member(link, "server");
  CHECK(server.line == 5);
  CHECK(std::get<TomlArray>(server.value)[1].line == 7);
  const TomlNode& web = member(member(root, "services"), "web");
  CHECK(web.line == 8);
  CHECK(describe(member(web, "n")) == "the integer 3");
  CHECK(describe(member(web, "f")) == "a number with a fraction");
  CHECK(describe(member(web, "b")) == "the boolean true");
  CHECK(describe(member(web, "d")) == "a date or time");
  CHECK(describe(web) == "a table");
  CHECK(describe(server) == "an array");
}

TEST_CASE("a table's members come in the order of the file") {
  const auto parsed = parse_toml("z = 1\na = 2\nm = 3\n");
  const auto& table = std::get<TomlTable>(std::get<TomlNode>(parsed).value);
  REQUIRE(table.size() == 3);
  CHECK(table[0].key == "z");
  CHECK(table[1].key == "a");
  CHECK(table[2].key == "m");
}

TEST_CASE("a syntax error has its line and a reason in one sentence") {
  struct Case {
    std::string text;
    int line;
    std::string reason;
  };
  const std::vector<Case> cases = {
      {"a = 1\nb = \n", 2,
       words("missing value after key-value separator", "unknown value appeared")},
      {"a = 1\n\na = 2\n", 3,
       words("value (\"a\") already exists: value defined twice", "value already exists")},
      {"[a]\nx = 1\n[a]\n", 3, words("table (\"a\") already exists", "table already defined")},
      {"\n\n[abc\n", 3, words("invalid key", "invalid table key: expected ]")},
      {"x = 5s\n", 1,
       words("expected newline, but got 's'", "newline (LF / CRLF) or EOF is expected")},
      {"a b = 3\n", 1, words("invalid format for key", "invalid key value separator")},
      {"x = yes\n", 1, "unknown value appeared"},
      {"ok = 1\nx = \"abc\n", 2, words("not a valid string", "invalid string format")},
      {"ok = 1\nx = {a = 1\n", 2, words("missing curly brace", "closing `}`")},
  };
  for (const Case& c : cases) {
    const TomlFault fault = fault_of(c.text);
    INFO(c.text << fault.reason);
    CHECK(fault.line == c.line);
    CHECK_THAT(fault.reason, ContainsSubstring(c.reason));
    CHECK(fault.reason.find('\n') == std::string::npos);
    CHECK(fault.reason.find("toml::") == std::string::npos);
  }
}

TEST_CASE("texts that break the parser itself are survived") {
  CHECK_THAT(fault_of("a = " + std::string(50'000, '[')).reason, ContainsSubstring("nests deeper"));
  fault_of("a = '");
  fault_of("a = '''");
  fault_of("a = \"\\");
  fault_of("a = \"\\u");
  fault_of("a = 1979-05-27T");
  fault_of("a");
  fault_of("[");
  fault_of("[[");
  CHECK(std::holds_alternative<TomlNode>(parse_toml("")));
  CHECK(
      std::holds_alternative<TomlNode>(parse_toml("\xef\xbb\xbf"
                                                  "a = 1")));
  CHECK(std::holds_alternative<TomlNode>(parse_toml("a = 'no final newline'")));
}

TEST_CASE("a file with thousands of tables is read without delay") {
  std::string text;
  for (int i = 0; i < 5'000; ++i) {
    text +=
        "[clients.c" + std::to_string(i) + "]\npsk_file = \"/a/b\"\nservices = [\"x\", \"y\"]\n";
  }
  const auto parsed = parse_toml(text);
  REQUIRE(std::holds_alternative<TomlNode>(parsed));
  const TomlNode& clients = member(std::get<TomlNode>(parsed), "clients");
  CHECK(member(clients, "c4999").line == 4999 * 3 + 1);
}

}  // namespace
}  // namespace holdfast
