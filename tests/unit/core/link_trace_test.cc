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

}  // namespace
}  // namespace holdfast::test
