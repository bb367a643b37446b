#include "common/keeper/judge.h"

#include <signal.h>

#include "tests/catch.h"

namespace holdfast {
namespace {

TEST_CASE("however often a serving agent is killed, its state stays") {
  std::uint32_t row = 0;
  for (int i = 0; i < 1000; ++i) row = deaths_in_row(row, {SIGKILL, true, milliseconds(1)});
  CHECK(row == 0);
  CHECK(!judge(row).discard);
}

TEST_CASE("a state on which three agents died before they served is given up") {
  std::uint32_t row = 0;
  for (int i = 0; i < 3; ++i) {
    CHECK(!judge(row).discard);
    row = deaths_in_row(row, {SIGKILL, false, milliseconds(5)});
  }
  CHECK(judge(row).discard);
  CHECK(!judge(row).give_up);
}

TEST_CASE("whoever kills agents before they serve, without a lack of memory, costs no state") {
  std::uint32_t row = 2;
  for (int i = 0; i < 100; ++i) row = deaths_in_row(row, {SIGKILL, false, milliseconds(5), true});
  CHECK(row == 2);
  CHECK(deaths_in_row(row, {SIGKILL, true, milliseconds(5), true}) == 0);
  CHECK(deaths_in_row(row, {SIGSEGV, false, milliseconds(5), true}) == 3);
}

TEST_CASE("an agent that crashes soon after it served counts as one that died of its state") {
  std::uint32_t row = deaths_in_row(2, {SIGSEGV, true, seconds(1)});
  CHECK(judge(row).discard);
  CHECK(deaths_in_row(2, {SIGSEGV, true, kProvenAfter}) == 0);
}

TEST_CASE("who crashes with nothing left to lose is followed only so often") {
  std::uint32_t row = 0;
  int starts = 0;
  for (; !judge(row).give_up; ++starts) row = deaths_in_row(row, {SIGABRT, false, {}});
  CHECK(starts == 6);
}

TEST_CASE("the first death is followed at once, quick ones after growing pauses") {
  CHECK(pause_before_start(0) == Duration{});
  CHECK(pause_before_start(1) == milliseconds(50));
  CHECK(pause_before_start(2) == milliseconds(200));
  CHECK(pause_before_start(3) == milliseconds(1000));
  CHECK(pause_before_start(100) == milliseconds(1000));
}

TEST_CASE("a crash is what a process does to itself, and a request to end is neither") {
  for (int number : {SIGSEGV, SIGBUS, SIGABRT, SIGILL}) CHECK(is_crash(number));
  for (int number : {SIGKILL, SIGTERM, SIGINT, SIGHUP}) CHECK(!is_crash(number));
  for (int number : {SIGTERM, SIGINT, SIGQUIT}) CHECK(asks_for_end(number));
  CHECK(!asks_for_end(SIGKILL));
}

}  // namespace
TEST_CASE("who is killed while it serves is followed at once, however soon it was") {
  CHECK_FALSE(was_short({SIGKILL, true, milliseconds(5)}));
  CHECK(was_short({SIGKILL, false, milliseconds(5)}));
  CHECK(was_short({SIGSEGV, true, milliseconds(5)}));
  CHECK_FALSE(was_short({SIGSEGV, false, kShortLife}));
}

}  // namespace holdfast
