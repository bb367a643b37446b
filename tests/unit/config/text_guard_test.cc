#include "common/config/text_guard.h"

#include <string>
#include <vector>

#include "tests/catch.h"

namespace holdfast {
namespace {

std::string times(int n, const std::string& text) {
  std::string all;
  for (int i = 0; i < n; ++i) all += text;
  return all;
}

TEST_CASE("an ordinary text passes the guard") {
  CHECK_FALSE(guard_text("").has_value());
  CHECK_FALSE(guard_text("a = [1, 2] # tab\there\r\n").has_value());
  CHECK_FALSE(guard_text("# gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x99\x82\n").has_value());
}

TEST_CASE("control characters are refused with their line") {
  for (const char c : {'\x01', '\x0b', '\x1b', '\x7f'}) {
    const auto fault = guard_text("a = 1\nb = \"" + std::string(1, c) + "\"\n");
    REQUIRE(fault.has_value());
    CHECK(fault->line == 2);
    CHECK_THAT(fault->reason, ContainsSubstring("control character"));
  }
  CHECK(guard_text(std::string("a\0b", 3)).has_value());
}

TEST_CASE("what is not UTF-8 is refused with its line") {
  const std::vector<std::string> bad = {
      "\x80",
      "\xc0\x80",
      "\xc1\xbf",
      "\xc3",
      "\xc3(",
      "\xe0\x80\x80",
      "\xed\xa0\x80",
      "\xe2\x82",
      "\xf0\x80\x80\x80",
      "\xf4\x90\x80\x80",
      "\xf5\x80\x80\x80",
      "\xff",
  };
  for (const std::string& bytes : bad) {
    const auto fault = guard_text("# one\n# two\n# " + bytes);
    REQUIRE(fault.has_value());
    CHECK(fault->line == 3);
    CHECK(fault->reason == "the text is not UTF-8");
  }
}

TEST_CASE("deep nesting is refused before a parser can overflow its stack") {
  CHECK_FALSE(guard_text("a = " + times(kMaxNesting, "[")).has_value());
  CHECK(guard_text("a = " + times(kMaxNesting + 1, "[")).has_value());
  CHECK(guard_text("a = " + times(100'000, "[")).has_value());
  CHECK(guard_text("a = " + times(100'000, "{a=")).has_value());
  CHECK(guard_text("a = " + times(20, "[{a=")).has_value());
  CHECK(guard_text(times(100'000, "a.") + "a = 1").has_value());
  CHECK(guard_text("[" + times(100'000, "a.") + "a]").has_value());
  const auto fault = guard_text("b = 1\n\na = " + times(100, "["));
  REQUIRE(fault.has_value());
  CHECK(fault->line == 3);
}

TEST_CASE("brackets in strings and comments do not nest") {
  const std::string many = times(100, "[");
  CHECK_FALSE(guard_text("# " + many + "\n").has_value());
  CHECK_FALSE(guard_text("a = \"" + many + "\"\n").has_value());
  CHECK_FALSE(guard_text("a = '" + many + "'\n").has_value());
  CHECK_FALSE(guard_text("a = \"\\\"" + many + "\"\n").has_value());
  CHECK_FALSE(guard_text("a = \"\"\"\n" + many + "\n\"\"\"\n").has_value());
  CHECK_FALSE(guard_text("a = '''\n" + many + "\n'''\n").has_value());
}

TEST_CASE("nesting cannot hide behind a string that only looks open") {
  const std::string many = times(100, "[");
  CHECK(guard_text("a = ['\\', " + many).has_value());
  CHECK(guard_text("a = \"\"\n" + many).has_value());
  CHECK(guard_text("a = \"open\n" + many).has_value());
  CHECK(guard_text("a = \"open\\\n" + many).has_value());
  CHECK(guard_text("a = [\"\"\"x\"\"\"\", " + many + " \"\"]").has_value());
  CHECK(guard_text("a = \"\"\"x\"\"\"\n" + many).has_value());
}

TEST_CASE("a text of more than one MiB is refused") {
  CHECK_FALSE(guard_text(std::string(kMaxConfigBytes, '\n')).has_value());
  const auto fault = guard_text(std::string(kMaxConfigBytes + 1, '\n'));
  REQUIRE(fault.has_value());
  CHECK_THAT(fault->reason, ContainsSubstring("too large"));
}

}  // namespace
}  // namespace holdfast
