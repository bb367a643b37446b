#include "common/core/lane_meter.h"

#include "tests/unit/core/link_pair.h"

namespace holdfast::test {
namespace {

// A client's lane, looked at as often as an agent does.
struct Metered {
  LinkPair pair;
  LaneMeter meter{pair.now()};
  PathReport path;

  Metered() {
    pair.run_for(milliseconds(100));
    path.least_round_trip = milliseconds(20);
  }
  std::uint64_t open() {
    std::uint64_t id = pair.open();
    meter.opened(pair.now());
    return id;
  }
  // So many samples, before each of which the stream has moved so much.
  LaneView samples(int count, std::uint64_t stream, std::size_t bytes) {
    for (int i = 0; i < count; ++i) {
      if (bytes != 0) pair.client.write(stream, std::string(bytes, 'x'));
      pair.run_for(tuning::kLaneSample);
      meter.sample(pair.now(), *pair.client.link, path);
    }
    return view();
  }
  LaneView view() const { return meter.view(pair.now(), *pair.client.link); }
};

// Else it would go before the stream comes that it was opened for.
TEST_CASE("a lane that was just opened has been empty for no time") {
  Metered lane;
  Time opened = lane.pair.now() - milliseconds(100);
  CHECK(lane.view().empty_since == opened);
  lane.samples(1, 0, 0);
  CHECK(lane.view().empty_since == opened);
  lane.open();
  LaneView view = lane.samples(1, 0, 0);
  CHECK(view.empty_since == lane.pair.now());
}

TEST_CASE("a stream that moves a modem's worth for long is bulk, and none when it pauses") {
  Metered lane;
  std::uint64_t stream = lane.open();
  CHECK(lane.samples(2, stream, 2000).bulk == 0);
  CHECK(lane.samples(1, stream, 2000).bulk == 1);
  CHECK(lane.samples(2, stream, 0).bulk == 1);
  CHECK(lane.samples(1, stream, 0).bulk == 0);
}

TEST_CASE("a typist is no bulk, and much in a moment is") {
  Metered lane;
  std::uint64_t typist = lane.open();
  CHECK(lane.samples(20, typist, 100).bulk == 0);
  std::uint64_t upload = lane.open();
  CHECK(lane.samples(1, upload, 300'000).bulk == 1);
  CHECK(lane.samples(3, typist, 100).bulk == 0);
}

TEST_CASE("a stream is young for a second or two, and a lane is busy a few after it moved") {
  Metered lane;
  CHECK_FALSE(lane.view().busy);
  std::uint64_t stream = lane.open();
  CHECK(lane.view().young == 1);
  lane.samples(1, stream, 10);
  CHECK(lane.view().busy);
  lane.samples(8, stream, 0);
  CHECK(lane.view().young == 0);
  CHECK(lane.view().busy);
  lane.samples(16, stream, 0);
  CHECK_FALSE(lane.view().busy);
  CHECK(lane.view().streams == 1);
}

TEST_CASE("losses trouble a path that is long enough for them to matter") {
  for (Duration least : {Duration(milliseconds(20)), Duration(microseconds(500))}) {
    Metered lane;
    lane.path.least_round_trip = least;
    std::uint64_t stream = lane.open();
    lane.path.lost = tuning::kLossesSeen - 1;
    lane.samples(2, stream, 2000);
    CHECK_FALSE(lane.meter.troubled());
    lane.path.lost += 1;
    lane.samples(2, stream, 2000);
    CHECK(lane.meter.troubled() == (least == milliseconds(20)));
  }
}

TEST_CASE("a path queues when bulk makes its round trips long, and nothing else does") {
  Metered lane;
  std::uint64_t stream = lane.open();
  lane.path.least_round_trip = microseconds(100);
  lane.samples(2, stream, 10'000);
  CHECK_FALSE(lane.meter.troubled());  // none is bulk
  lane.samples(2, stream, 10'000);
  bool longer = lane.pair.client.link->liveness().round_trip() >
                lane.path.least_round_trip + tuning::kQueueTime;
  CHECK(lane.meter.troubled() == longer);
  CHECK(lane.meter.least_round_trip() == microseconds(100));
}

}  // namespace
}  // namespace holdfast::test
