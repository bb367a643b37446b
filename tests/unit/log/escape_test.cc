#include "common/log/escape.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

std::string as_json(std::string_view text) {
  std::string out;
  append_escaped(out, text, EscapeStyle::json);
  return out;
}

TEST_CASE("plain text and valid UTF-8 are shown as they are") {
  CHECK(escaped("postgres \"x\" \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80") ==
        "postgres \"x\" \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
}

TEST_CASE("line ends and controls cannot be smuggled in") {
  CHECK(escaped("a\nb\rc\td") == "a\\nb\\rc\\td");
  CHECK(escaped(std::string_view("\0\x1b[31m\x7f", 7)) == "\\x00\\x1b[31m\\x7f");
  CHECK(escaped("\\n") == "\\\\n");
}

TEST_CASE("C1 controls, line separators and direction marks are escaped") {
  CHECK(escaped("\xc2\x85") == "\\u0085");
  CHECK(escaped("\xe2\x80\xa8") == "\\u2028");
  CHECK(escaped("\xe2\x80\xae") == "\\u202e");
}

TEST_CASE("broken UTF-8 is shown byte by byte") {
  CHECK(escaped("\xff") == "\\xff");
  CHECK(escaped("\xc3") == "\\xc3");                             // cut off
  CHECK(escaped("\xc0\x8a") == "\\xc0\\x8a");                    // overlong line end
  CHECK(escaped("\xe0\x80\x8a") == "\\xe0\\x80\\x8a");           // overlong
  CHECK(escaped("\xed\xa0\x80") == "\\xed\\xa0\\x80");           // surrogate
  CHECK(escaped("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");  // above U+10FFFF
}

TEST_CASE("JSON gets JSON's escapes") {
  CHECK(as_json("a\"b\\c\n") == "a\\\"b\\\\c\\n");
  CHECK(as_json(std::string_view("\0\x7f", 2)) == "\\u0000\\u007f");
  CHECK(as_json("\xff") == "\\ufffd");
}

TEST_CASE("long values are cut between characters") {
  std::string text(kMaxShownBytes - 1, 'x');
  CHECK(escaped(text + "y") == text + "y");
  CHECK(escaped(text + "yz") == text + "y...");
  CHECK(escaped(text + "\xc3\xa9") == text + "...");
}

}  // namespace
}  // namespace holdfast
