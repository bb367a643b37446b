#include "common/keeper/page.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

TEST_CASE("a state's word comes back as it was stored, and none is none") {
  CHECK(!decoded_state(0));
  for (StateWord word : {StateWord{0, 0}, StateWord{7, 3}, StateWord{1048575, 4294967295}}) {
    CHECK(encoded(word) != 0);
    CHECK(decoded_state(encoded(word)) == word);
  }
}

TEST_CASE("an agent after a death inherits the state and the config in force") {
  Page page;
  page.reason = StartReason::killed;
  page.config_from_file = 0;
  page.death = {.pid = 12, .signal = 9, .code = 0, .time_ns = 99};
  page.state = encoded({5, 2});
  Inheritance found = inheritance_of(page);
  CHECK(found.state == StateWord{5, 2});
  CHECK(!found.discarded);
  CHECK(!found.config_from_file);
  CHECK(found.death.signal == 9);
}

TEST_CASE("a state that is to be discarded is none, and the config is the file's") {
  Page page;
  page.config_from_file = 0;
  page.discard = 1;
  page.state = encoded({5, 2});
  Inheritance found = inheritance_of(page);
  CHECK(!found.state);
  CHECK(found.discarded);
  CHECK(found.config_from_file);
}

TEST_CASE("an agent that died before it had a state leaves nothing but the file") {
  Page page;
  page.reason = StartReason::crashed;
  page.config_from_file = 0;
  CHECK(inheritance_of(page).config_from_file);
  CHECK(!inheritance_of(page).discarded);
}

}  // namespace
}  // namespace holdfast
