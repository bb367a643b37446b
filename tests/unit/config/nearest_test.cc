#include "common/config/nearest.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

TEST_CASE("edit distance counts inserted, removed, replaced and swapped letters") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("abc", "") == 3);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("grace", "grace") == 0);
  CHECK(edit_distance("grce", "grace") == 1);
  CHECK(edit_distance("graace", "grace") == 1);
  CHECK(edit_distance("grade", "grace") == 1);
  CHECK(edit_distance("garce", "grace") == 1);
  CHECK(edit_distance("kitten", "sitting") == 3);
}

TEST_CASE("the nearest word is offered only when it is near") {
  const std::vector<std::string> words = {"heartbeat", "dead_after", "grace"};
  CHECK(nearest("hearbeat", words) == "heartbeat");
  CHECK(nearest("dead-after", words) == "dead_after");
  CHECK(nearest("Grace", words) == "grace");
  CHECK(nearest("GRACE", words) == "grace");
  CHECK(nearest("dead", words) == "dead_after");
  CHECK(nearest("grace_period", words) == "grace");
  CHECK_FALSE(nearest("de", words).has_value());
  CHECK_FALSE(nearest("window", words).has_value());
  CHECK_FALSE(nearest("", words).has_value());
  CHECK_FALSE(nearest("x", {"y"}).has_value());
  CHECK_FALSE(nearest(std::string(100'000, 'a'), words).has_value());
}

}  // namespace
}  // namespace holdfast
