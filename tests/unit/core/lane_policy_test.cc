#include "common/core/lane_policy.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

Time at(Duration since) {
  return Time(seconds(1000)) + since;
}

// A path of 20 ms with a queue or losses.
LaneState lane(unsigned number, std::size_t streams = 0, std::size_t bulk = 0) {
  LaneState state;
  state.name = number == 0 ? "hub" : "hub#" + std::to_string(number + 1);
  state.lane = number;
  state.live = true;
  state.view.streams = streams;
  state.view.bulk = bulk;
  state.view.busy = streams != 0;
  state.view.empty_since = at({});
  state.troubled = true;
  state.round_trip = state.least_round_trip = milliseconds(20);
  return state;
}

// None is in trouble.
std::vector<LaneState> calm(std::vector<LaneState> lanes) {
  for (LaneState& each : lanes) each.troubled = false;
  return lanes;
}

LanePolicy looked(const std::vector<LaneState>& lanes, unsigned most = 8) {
  LanePolicy policy(1, most);
  policy.look(at({}), static_cast<unsigned>(lanes.size()), lanes);
  return policy;
}

TEST_CASE("How many lanes there are to be") {
  struct Row {
    const char* name;
    std::vector<LaneState> lanes;
    unsigned missing;
  };
  const Row rows[] = {
      {"an idle link has one", {lane(0)}, 0},
      {"typists share one", {lane(0, 3)}, 0},
      {"beside bulk there is one for whoever comes", {lane(0, 1, 1)}, 1},
      {"and it is enough", {lane(0, 1, 1), lane(1)}, 0},
      {"bulk shares a lane with others", {lane(0, 2, 1)}, 1},
      {"a typist has the free one, so there is another", {lane(0, 1, 1), lane(1, 1)}, 1},
      {"two bulk streams on one lane", {lane(0, 2, 2)}, 2},
      {"as many as bulk streams, and one more", {lane(0, 1, 1), lane(1, 1, 1), lane(2, 1, 1)}, 1},
      {"but eight at most", {lane(0, 20, 20)}, 7},
      {"where nothing queues or is lost, one carries all", calm({lane(0, 9, 9)}), 0},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    CHECK(looked(row.lanes).missing(at({})) == row.missing);
  }
}

TEST_CASE("A path that queued once counts as one for minutes, also on another lane") {
  LanePolicy policy = looked({lane(0, 1, 1)});
  policy.look(at(seconds(599)), 1, calm({lane(0, 1, 1)}));
  CHECK(policy.missing(at(seconds(599))) == 1);
  policy.look(at(seconds(601)), 1, calm({lane(0, 1, 1)}));
  CHECK(policy.missing(at(seconds(601))) == 0);
}

TEST_CASE("Lanes that were opened and told of nowhere yet are not opened again") {
  LanePolicy policy = looked({lane(0, 2, 2)});
  policy.opened();
  CHECK(policy.missing(at({})) == 1);
  policy.look(at({}), 3, {lane(0, 2, 2)});
  CHECK(policy.missing(at({})) == 0);
}

TEST_CASE("A lane without streams goes after a while, the last opened first, and the first never") {
  LanePolicy policy = looked({lane(0), lane(1), lane(2)});
  CHECK_FALSE(policy.idle(at(seconds(29))));
  CHECK(policy.idle(at(seconds(30))) == "hub#3");
  policy.look(at(seconds(30)), 2, {lane(0), lane(1, 1)});
  CHECK_FALSE(policy.idle(at(seconds(100))));
  policy.look(at(seconds(30)), 1, {lane(0)});
  CHECK_FALSE(policy.idle(at(seconds(100))));
}

TEST_CASE("A lane that is wanted stays, however long it was empty") {
  CHECK_FALSE(looked({lane(0, 1, 1), lane(1)}).idle(at(seconds(100))));
  CHECK(looked({lane(0, 1, 1), lane(1), lane(2)}).idle(at(seconds(100))) == "hub#3");
}

TEST_CASE("A new stream beside an active one has a lane opened, but not on a path that is none") {
  auto with = [](Duration least, bool troubled) {
    LaneState one = lane(0, 1);
    one.least_round_trip = one.round_trip = least;
    one.troubled = troubled;
    return looked({one}).opens_for_another(at({}));
  };
  CHECK(with(milliseconds(20), false));
  CHECK(with(tuning::kShortPath, false));
  CHECK_FALSE(with(microseconds(30), false));
  CHECK(with(microseconds(30), true));
  CHECK_FALSE(looked({lane(0, 1)}, 1).opens_for_another(at({})));
  LaneState down = lane(0, 1);
  down.live = false;
  CHECK_FALSE(looked({down}).opens_for_another(at({})));
}

TEST_CASE("Who waits for a lane waits a few round trips, too many only beside bulk") {
  auto patience = [](Duration round_trip, bool bulk) {
    LaneState one = lane(0, 1);
    one.round_trip = round_trip;
    return looked({one}).patience(bulk);
  };
  CHECK(patience(milliseconds(1), false) == milliseconds(500));
  CHECK(patience(milliseconds(60), false) == milliseconds(660));
  CHECK(patience(milliseconds(120), false) == seconds(1));
  CHECK(patience(milliseconds(600), false) == Duration{});
  CHECK(patience(milliseconds(600), true) == seconds(1));
}

TEST_CASE("After a refusal no lane is opened for a minute") {
  LanePolicy policy = looked({lane(0, 1, 1)});
  policy.refused(at({}));
  CHECK(policy.missing(at(seconds(59))) == 0);
  CHECK_FALSE(policy.opens_for_another(at(seconds(59))));
  CHECK(policy.missing(at(seconds(60))) == 1);
  LanePolicy after_reload(1, 8);
  after_reload.learn_of(policy);
  after_reload.look(at({}), 1, {lane(0, 1, 1)});
  CHECK(after_reload.missing(at(seconds(59))) == 0);
}

}  // namespace
}  // namespace holdfast
