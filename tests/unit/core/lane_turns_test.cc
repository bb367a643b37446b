#include "common/core/lane_turns.h"

#include "common/core/tuning.h"
#include "tests/catch.h"

namespace holdfast::test {
namespace {

using Lanes = std::vector<LaneTurns::Lane>;

struct Turns : LaneTurns {
  Time now = Time(seconds(100));
  void look_after(Duration time, const Lanes& lanes) {
    now += time;
    look(now, lanes);
  }
  std::string who() const {
    std::string names;
    for (std::string_view name : {"a", "b", "c"}) {
      if (may(now, name)) names += name;
    }
    return names;
  }
};

}  // namespace

TEST_CASE("lanes with long tables greet one after the other where that takes long") {
  Turns turns;
  turns.look_after({}, {{"a"}, {"b"}, {"c"}});
  CHECK(turns.who() == "a");
  turns.look_after(seconds(1), {{"a", true}, {"b"}, {"c"}});
  turns.look_after(seconds(60), {{"a", true}, {"b"}, {"c"}});
  CHECK(turns.who() == "a");  // however long it greets
  turns.look_after(seconds(1), {{"b"}, {"c"}});
  CHECK(turns.who() == "b");
  turns.look_after(seconds(1), {{"b", true}, {"c"}});
  turns.look_after(seconds(9), {{"c"}});
  CHECK(turns.who() == "c");
  turns.look_after(seconds(1), {});
  CHECK(turns.who().empty());
}

TEST_CASE("when one was answered soon all greet at once, for a while") {
  Turns turns;
  turns.look_after({}, {{"a"}, {"b"}, {"c"}});
  turns.look_after(seconds(1), {{"a", true}, {"b"}, {"c"}});
  turns.look_after(tuning::kSoonAnswered, {{"b"}, {"c"}});
  CHECK(turns.who() == "abc");
  turns.look_after(tuning::kTurnsFree, {{"b"}, {"c"}});
  CHECK(turns.who() == "c");  // "b" had its turn meanwhile
}

TEST_CASE("a greeting that fails is no answer, and begins anew") {
  Turns turns;
  turns.look_after({}, {{"a"}, {"b"}});
  turns.look_after(seconds(1), {{"a", true}, {"b"}});
  turns.look_after(milliseconds(100), {{"a"}, {"b"}});
  turns.look_after(milliseconds(100), {{"b"}});
  CHECK(turns.who() == "b");  // "a" went without having greeted
}

TEST_CASE("who gets nowhere passes its turn on, later on a far path") {
  Turns turns;
  Lanes lanes{{"a"}, {"b", false, seconds(5)}, {"c"}};
  turns.look_after({}, lanes);
  CHECK(turns.next_timeout() == turns.now + tuning::kLaneTurn);
  turns.look_after(tuning::kLaneTurn, lanes);
  CHECK(turns.who() == "b");
  turns.look_after(tuning::kLaneTurn, lanes);
  CHECK(turns.who() == "b");
  CHECK(turns.next_timeout() == turns.now + seconds(20));
  turns.look_after(seconds(20), lanes);
  CHECK(turns.who() == "c");
  turns.look_after(tuning::kLaneTurn, lanes);
  CHECK(turns.who() == "a");
  turns.look_after(tuning::kLaneTurn, {{"a"}});  // alone
  turns.look_after(seconds(100), {{"a"}});
  CHECK(turns.who() == "a");
  CHECK(turns.next_timeout() == kNever);
}

}  // namespace holdfast::test
