#include "common/keeper/handover.h"

#include <unistd.h>

#include "tests/catch.h"

namespace holdfast {
namespace {

TEST_CASE("what a keeper tells itself comes out as it went in") {
  Page page;
  page.reason = StartReason::crashed;
  page.discard = 1;
  page.deaths_in_row = 4;
  page.config_from_file = 0;
  page.deaths = 17;
  page.death = {.pid = 99, .signal = 11, .stuck = 1, .code = 3, .time_ns = 123456789012345};
  page.started_with_count = 3;
  page.started_with[2] = 7;
  page.state = encoded({5, 2});
  Page taken;
  std::string oom_score;
  REQUIRE(take_handover(handover_text(page, "-17"), taken, oom_score));
  CHECK(taken.reason == StartReason::crashed);
  CHECK(taken.discard == 1);
  CHECK(taken.deaths_in_row == 4);
  CHECK(taken.config_from_file == 0);
  CHECK(taken.deaths == 17);
  CHECK(taken.death.pid == 99);
  CHECK(taken.death.signal == 11);
  CHECK(taken.death.stuck == 1);
  CHECK(taken.death.code == 3);
  CHECK(taken.death.time_ns == 123456789012345);
  CHECK(taken.started_with_count == 3);
  CHECK(taken.started_with[2] == 7);
  CHECK(taken.state == encoded({5, 2}));
  CHECK(oom_score == "-17");
}

TEST_CASE("what was left for another process is nothing for this one") {
  Page page;
  std::string oom_score = "0";
  CHECK(!take_handover("holdfast pid=1 reason=1 state=99", page, oom_score));
  CHECK(!take_handover("", page, oom_score));
  CHECK(!take_handover("pid=" + std::to_string(getpid()), page, oom_score));
  CHECK(page.state == 0);
  CHECK(page.reason == StartReason::first);
}

TEST_CASE(
    "another version's words are skipped, and missing or broken ones keep their first value") {
  Page page;
  std::string oom_score = "0";
  std::string text = "holdfast pid=" + std::to_string(getpid()) + " later=yes deaths=x7 died_pid=";
  REQUIRE(take_handover(text, page, oom_score));
  CHECK(page.deaths == 0);
  CHECK(page.death.pid == 0);
  CHECK(page.config_from_file == 1);
  CHECK(page.reason == StartReason::restart);
  CHECK(oom_score == "0");
}

TEST_CASE("a program reads its own state and the one of the major before it") {
  CHECK(can_read_state(kStateFormat));
  CHECK(can_read_state("1.99"));
  CHECK(can_read_state("0.3"));
  for (const char* foreign : {"2.0", "", "x", "1x", "-1", "99999999999"}) {
    CHECK(!can_read_state(foreign));
  }
}

TEST_CASE("a program is asked for a state in place of a command line") {
  const char* yes[] = {"holdfast-client", "--can-read", kStateFormat};
  const char* no[] = {"holdfast-client", "--can-read", "77.0"};
  const char* run[] = {"holdfast-client", "-c", "client.toml"};
  CHECK(asked_for_state(3, yes) == 0);
  CHECK(asked_for_state(3, no) == 1);
  CHECK(!asked_for_state(3, run));
  CHECK(!asked_for_state(2, yes));
}

}  // namespace
}  // namespace holdfast
