#include "common/core/pings.h"

#include "tests/catch.h"
#include "tests/unit/core/link_pair.h"
#include "tests/unit/core/scripted_peer.h"

namespace holdfast {

using namespace test;

namespace {

// PINGs that both ends of an idle link send in this time, once it has come to rest.
struct Idle {
  std::size_t pings = 0, pongs = 0, others = 0;
};
Idle idle_for(Duration time, Duration heartbeat) {
  LinkPair::Options options;
  options.heartbeat = heartbeat;
  options.dead_after = heartbeat * 3;
  options.one_way = milliseconds(20);
  options.trace = true;
  LinkPair pair(options);
  auto stream = pair.open();
  pair.client.write(stream, "hello");
  pair.run_for(seconds(1));
  pair.server.write(stream, "hello");
  pair.run_for(seconds(2));
  (void)pair.client.link->take_trace();
  (void)pair.server.link->take_trace();
  pair.run_for(time);
  Idle seen;
  for (End* end : {&pair.client, &pair.server}) {
    for (const TraceEvent& event : end->link->take_trace()) {
      if (event.kind != TraceEvent::Kind::send) continue;
      (event.frame == FrameType::ping   ? seen.pings
       : event.frame == FrameType::pong ? seen.pongs
                                        : seen.others) += 1;
    }
  }
  return seen;
}

}  // namespace

TEST_CASE("a PONG gives its PING's round trip, whichever of the carrier's it answers") {
  Pings pings;
  std::uint64_t first = pings.send(Time(milliseconds(1000)));
  std::uint64_t second = pings.send(Time(milliseconds(1500)));
  CHECK(pings.answer(Time(milliseconds(1600)), first) == milliseconds(600));
  CHECK(pings.answer(Time(milliseconds(1700)), second) == milliseconds(200));
}

TEST_CASE("a PONG that no PING of this carrier can have asked for is none") {
  Pings pings;
  CHECK(!pings.answer(Time(seconds(1)), 0));
  std::uint64_t token = pings.send(Time(seconds(2)));
  CHECK(!pings.answer(Time(seconds(3)), token - 1));
  CHECK(!pings.answer(Time(seconds(3)), token + 1));
  CHECK(pings.answer(Time(seconds(3)), token));
}

TEST_CASE("a round trip within a microsecond is one") {
  Pings pings;
  std::uint64_t token = pings.send(Time(seconds(2)));
  CHECK(pings.answer(Time(seconds(2)), token) == Duration(1));
}

TEST_CASE("measuring waits for the last PONG and for its time") {
  Pings pings;
  CHECK(pings.measure_due(Time(seconds(1))));
  std::uint64_t first = pings.send(Time(seconds(1)));
  std::uint64_t second = pings.send(Time(seconds(2)));
  CHECK(!pings.measure_due(Time(seconds(9))));
  (void)pings.answer(Time(seconds(9)), first);
  CHECK(!pings.measure_due(Time(seconds(9))));
  (void)pings.answer(Time(seconds(9)), second);
  CHECK(pings.measure_due(Time(seconds(9))));
  CHECK(!pings.measure_due(Time(seconds(2) + tuning::kMeasureEvery - Duration(1))));
  // Where little depends on it, so much later.
  Time due = Time(seconds(2) + tuning::kMeasureEvery);
  CHECK(!pings.measure_due(due + milliseconds(799), milliseconds(800)));
  CHECK(pings.measure_due(due + milliseconds(800), milliseconds(800)));
}

TEST_CASE("an idle link asks once a heartbeat, for both of its ends") {
  struct Row {
    Duration heartbeat;
    std::size_t least, most;
  };
  const Row rows[] = {
      {seconds(1), 19, 21}, {seconds(5), 3, 5}, {seconds(30), 0, 1}, {std::chrono::hours(1), 0, 0}};
  for (const Row& row : rows) {
    Idle seen = idle_for(seconds(20), row.heartbeat);
    INFO(row.heartbeat.count());
    CHECK(seen.pings >= row.least);
    CHECK(seen.pings <= row.most);
    CHECK(seen.pongs == seen.pings);
    CHECK(seen.others == 0);
  }
}

TEST_CASE("neither a PONG nor an ack by itself provokes a question, a byte does") {
  for (int what : {0, 1, 2}) {
    ScriptedPeer peer(LinkOptions::Role::server);
    auto stream = peer.open();
    peer.receive(ping_frame(41));  // with which all that was said is answered
    peer.transmit();
    if (what == 0) peer.receive(ping_frame(42));
    if (what == 1) peer.receive_data(stream, 0, "hello");
    if (what == 2) peer.end.write(stream, "hello");
    bool asked = false;
    for (int i = 0; i < 11; ++i) {
      for (const auto& frame : peer.advance(milliseconds(100))) {
        asked = asked || frame.type == FrameType::ping;
      }
    }
    INFO(what);
    CHECK(asked == (what == 2));
  }
}

}  // namespace holdfast
