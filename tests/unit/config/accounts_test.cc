// Users, groups and modes of a config.
#include "common/config/accounts.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

TEST_CASE("a mode is three or four octal digits") {
  CHECK(parse_file_mode("0660")->bits == 0660);
  CHECK(parse_file_mode("777")->bits == 0777);
  CHECK(to_string(*parse_file_mode("640")) == "0640");
  CHECK(to_string(*parse_file_mode("0007")) == "0007");
  for (const char* text : {"", "66", "00660", "1777", "0668", "rw", "0x1ff", "-660", "+660"}) {
    INFO(text);
    auto parsed = parse_file_mode(text);
    REQUIRE_FALSE(parsed.ok());
    CHECK_THAT(parsed.error().message, ContainsSubstring("\"0660\""));
  }
}

TEST_CASE("users and groups are known by name or number") {
  CHECK(*find_user("root") == 0);
  CHECK(*find_group("root") == 0);
  CHECK(*find_user("4711") == 4711);
  CHECK(*find_group("4711") == 4711);
  // What chown(2) takes for "leave it as it is" is nobody's number.
  CHECK_FALSE(find_user("4294967295").ok());
  auto missing = find_user("no-such-user-here");
  REQUIRE_FALSE(missing.ok());
  CHECK_THAT(missing.error().message, ContainsSubstring("no user \"no-such-user-here\""));
  CHECK_THAT(find_group("no-such-group-here").error().message, ContainsSubstring("no group"));
}

}  // namespace
}  // namespace holdfast
