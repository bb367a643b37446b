// The trace: what one end says it sent is what the other says it received, with the same streams.
#include "tests/unit/core/link_pair.h"

namespace holdfast::test {
namespace {

struct Frame {
  FrameType type{};
  std::uint64_t stream = 0;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  bool operator==(const Frame&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Frame& frame) {
  return out << to_string(frame.type) << " " << frame.stream << "@" << frame.offset << "+"
             << frame.length;
}

struct Traced {
  std::vector<Frame> sent, received;
  explicit Traced(Link& link) {
    for (const TraceEvent& event : link.take_trace()) {
      if (event.kind == TraceEvent::Kind::send) {
        sent.push_back({event.frame, event.id, event.offset, event.length});
      } else if (event.kind == TraceEvent::Kind::receive) {
        received.push_back({event.frame, event.id, event.offset, event.length});
      }
    }
  }
};

TEST_CASE("each frame is traced by both ends with the same stream, place and length") {
  LinkPair::Options options;
  options.trace = true;
  LinkPair pair(options);
  pair.settle();
  auto first = pair.open();
  auto second = pair.open();
  auto third = pair.open();
  auto fourth = pair.open();
  pair.client.write(first, "there");
  pair.settle();
  pair.server.write(first, "and back");
  pair.client.finish(second);
  pair.client.write(fourth, "broken");
  pair.client.abort(fourth);
  pair.server.reset(third, Cause::target_rst);
  pair.settle();
  pair.cut();
  pair.run_for(seconds(3));
  pair.server.link->tell_down({"short"});
  pair.server.link->drain(pair.now());
  pair.settle();
  pair.client.link->goodbye(pair.now(), Cause::goodbye);
  pair.settle();
  Traced client(*pair.client.link);
  Traced server(*pair.server.link);
  CHECK(client.sent == server.received);
  CHECK(server.sent == client.received);
  auto has = [](const std::vector<Frame>& frames, const Frame& frame) {
    return std::count(frames.begin(), frames.end(), frame) == 1;
  };
  CHECK(has(client.sent, {FrameType::open, third}));
  CHECK(has(client.sent, {FrameType::data, first, 0, 5}));
  CHECK(has(client.sent, {FrameType::fin, second, 0}));
  CHECK(has(client.sent, {FrameType::abort, fourth, 6}));
  CHECK(has(server.sent, {FrameType::reset, third}));
}

TEST_CASE("a trace that nobody takes does not grow without end") {
  LinkPair::Options options;
  options.trace = true;
  LinkPair pair(options);
  auto id = pair.open();
  for (std::size_t i = 0; i < tuning::kMaxTraceEvents; ++i) {
    pair.client.write(id, "x");
    pair.settle();
  }
  CHECK(pair.client.link->take_trace().size() == tuning::kMaxTraceEvents);
  CHECK(pair.client.link->take_trace().empty());
}

TEST_CASE("a trace line is one JSON object with what the event means") {
  TraceEvent event;
  event.at = Time(milliseconds(1500));
  event.kind = TraceEvent::Kind::send;
  event.frame = FrameType::fin;
  event.id = 7;
  event.offset = 12;
  CHECK(
      to_json(event, "client", "3fa9c1d2") ==
      R"({"t":1.500000,"side":"client","link":"3fa9c1d2","event":"send","frame":"FIN","id":7,"offset":12})");
  event = {};
  event.kind = TraceEvent::Kind::carrier_down;
  event.id = 3;
  event.cause = Cause::carrier_silent;
  CHECK(
      to_json(event, "server", "3fa9c1d2") ==
      R"({"t":0.000000,"side":"server","link":"3fa9c1d2","event":"carrier_down","id":3,"cause":"carrier_silent"})");
}

}  // namespace
}  // namespace holdfast::test
