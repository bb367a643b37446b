// What --watch is made of: rates, and what fits a screen.
#include "common/cli/rates.h"
#include "common/cli/screen.h"
#include "tests/catch.h"
#include "tests/unit/fixtures.h"

namespace holdfast {
namespace {

TEST_CASE("a rate is what passed between two looks, by the counter's own clock") {
  Rates rates;
  CHECK(rates.update({{"a", 1000, 10, seconds(5)}}).empty());
  RateTable table = rates.update({{"a", 3000, 10, seconds(7)}, {"b", 9, 9, seconds(1)}});
  REQUIRE(table.size() == 1);
  CHECK(table["a"].up == Approx(1000));
  CHECK(table["a"].down == Approx(0));
}

TEST_CASE("counters that began anew or did not age have no rate") {
  Rates rates;
  rates.update({{"a", 1000, 10, seconds(5)}, {"b", 1, 1, seconds(5)}});
  CHECK(rates.update({{"a", 10, 10, seconds(6)}, {"b", 2, 2, seconds(5)}}).empty());
}

TEST_CASE("a counter that was away for a look begins anew") {
  Rates rates;
  rates.update({{"a", 1000, 10, seconds(5)}});
  rates.update({});
  CHECK(rates.update({{"a", 2000, 10, seconds(6)}}).empty());
}

TEST_CASE("a screen takes no more lines than it has, cut to its width") {
  CHECK(fitted("one\ntwo\nthree\n", {2, 80}) == "one\ntwo\n");
  CHECK(fitted("abcdef\nxy\n", {5, 3}) == "abc\nxy\n");
  CHECK(fitted("no end", {5, 80}) == "no end\n");
  CHECK(fitted("", {5, 80}).empty());
}

TEST_CASE("colour takes no width and is never left on") {
  CHECK(fitted("\033[1mabcdef\033[0m\n", {5, 3}) == "\033[1mabc\033[0m\n");
}

TEST_CASE("without a terminal texts stand one below the other, without escape sequences") {
  std::ostringstream out;
  {
    Screen screen(out, false);
    CHECK(screen.show("one\n"));
    CHECK(screen.wait(milliseconds(1)));
    CHECK(screen.show("two\n"));
  }
  CHECK(out.str() == "one\n\ntwo\n");
}

TEST_CASE("a terminal is given back as it was") {
  std::ostringstream out;
  { Screen(out, true).show("one\n"); }
  CHECK(out.str().substr(0, 14) == "\033[?1049h\033[?25l");
  CHECK(out.str().substr(out.str().size() - 14) == "\033[?25h\033[?1049l");
}

TEST_CASE("a signal ends the wait, not the process") {
  std::ostringstream out;
  Screen screen(out, false);
  ::raise(SIGINT);
  CHECK_FALSE(screen.wait(seconds(60)));
}

}  // namespace
}  // namespace holdfast
