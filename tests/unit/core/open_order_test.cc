// What an OPEN follows: bytes and ends of older streams of its service, and for how long.
#include "tests/catch.h"
#include "tests/unit/core/scripted_peer.h"

namespace holdfast {

using namespace test;

namespace {

using Role = LinkOptions::Role;

// A client whose streams have so much credit from the beginning.
struct Client : ScriptedPeer {
  explicit Client(std::uint64_t credit) : ScriptedPeer(Role::client) {
    lose_carrier();
    initial_credit = credit;
    connect();
  }
  // A new stream, whose OPEN waits to be sent.
  std::uint64_t accept(std::uint64_t id) {
    auto handle = link().open(now(), {0, {}, {}});
    REQUIRE(handle.ok());
    REQUIRE(handle->id.value == id);
    end.app(id).handle = *handle;
    return id;
  }
  // The application has written so much that a read of the agent's is filled by it.
  void fill_a_read(std::uint64_t id) {
    iovec room[32];
    std::size_t count = link().prepare(end.app(id).handle, 64 * kKiB, room);
    REQUIRE(count != 0);
    std::size_t size = 0;
    for (std::size_t i = 0; i < count; ++i) size += room[i].iov_len;
    link().commit(now(), end.app(id).handle, std::min(size, 64 * kKiB));
  }
};

// Where the first such frame stands; the number of frames if there is none.
std::size_t place_of(const std::vector<SentFrame>& frames, FrameType type, std::uint64_t id) {
  auto found = std::find_if(frames.begin(), frames.end(), [&](const SentFrame& frame) {
    return frame.type == type && frame.id == id;
  });
  return static_cast<std::size_t>(found - frames.begin());
}

bool has(const std::vector<SentFrame>& frames, FrameType type, std::uint64_t id) {
  return place_of(frames, type, id) != frames.size();
}

}  // namespace

TEST_CASE("an OPEN follows the bytes and the end of an older stream, few or many") {
  for (std::size_t size : {0UL, 1UL, 100UL, 3000UL, 700000UL}) {
    for (bool abort : {false, true}) {
      Client client(16 * kMiB);
      auto old = client.open();
      client.end.write(old, std::string(size, 'x'));
      if (abort) {
        client.end.abort(old);
      } else {
        client.end.finish(old);
      }
      auto young = client.accept(2);
      auto frames = client.transmit();
      INFO(size << " bytes" << (abort ? ", aborted" : ""));
      std::size_t end = place_of(frames, abort ? FrameType::abort : FrameType::fin, old);
      REQUIRE(has(frames, FrameType::open, young));
      CHECK(end < place_of(frames, FrameType::open, young));
    }
  }
}

TEST_CASE("what a new stream says goes with its OPEN and before the next one") {
  Client client(16 * kMiB);
  auto first = client.accept(1);
  client.end.write(first, "hello");
  client.end.finish(first);
  auto second = client.accept(2);
  client.end.write(second, std::string(3000, 'x'));
  client.end.finish(second);
  auto third = client.accept(3);
  auto frames = client.transmit();
  std::vector<std::size_t> places = {
      place_of(frames, FrameType::open, first),  place_of(frames, FrameType::data, first),
      place_of(frames, FrameType::fin, first),   place_of(frames, FrameType::open, second),
      place_of(frames, FrameType::data, second), place_of(frames, FrameType::fin, second),
      place_of(frames, FrameType::open, third)};
  CHECK(places == std::vector<std::size_t>{0, 1, 2, 3, 4, 5, 6});
}

TEST_CASE("an OPEN waits for no credit that does not come") {
  Client client(4 * kKiB);
  auto old = client.accept(1);
  client.transmit();
  client.end.write(old, std::string(20000, 'x'));  // and 4 KiB may go
  client.end.finish(old);
  auto young = client.accept(2);
  CHECK_FALSE(has(client.transmit(), FrameType::open, young));
  CHECK(client.link().next_timeout() <= client.now() + tuning::kFollowCredit);
  CHECK_FALSE(has(client.advance(tuning::kFollowCredit - milliseconds(1)), FrameType::open, young));
  CHECK(has(client.advance(milliseconds(1)), FrameType::open, young));
}

TEST_CASE("an OPEN follows an end for as long as credit comes and for half a second") {
  Client client(4 * kKiB);
  auto old = client.accept(1);
  client.transmit();
  client.end.write(old, std::string(60000, 'x'));
  client.end.finish(old);
  auto young = client.accept(2);
  client.transmit();
  std::uint64_t limit = 4 * kKiB;
  Duration waited{};
  for (; waited < tuning::kFollowEnds - milliseconds(40); waited += milliseconds(40)) {
    CHECK_FALSE(has(client.advance(milliseconds(40)), FrameType::open, young));
    limit += 1000;
    client.receive(ack_frame({{StreamId{old}, limit - 4 * kKiB, limit}}));
  }
  CHECK(has(client.advance(milliseconds(40)), FrameType::open, young));
}

TEST_CASE("an end that is through lets the OPEN go in the same gather") {
  Client client(4 * kKiB);
  auto old = client.accept(1);
  client.transmit();
  client.end.write(old, std::string(20000, 'x'));
  client.end.finish(old);
  auto young = client.accept(2);
  client.transmit();
  client.receive(ack_frame({{StreamId{old}, 4 * kKiB, 65536}}));
  auto gather = client.link().poll_transmit(client.now(), tuning::kMaxGather);
  REQUIRE(gather);
  auto frames = decode_gather(ScriptedPeer::flatten(*gather));
  client.link().written(client.now(), gather->bytes);
  CHECK(place_of(frames, FrameType::fin, old) + 1 == place_of(frames, FrameType::open, young));
}

TEST_CASE("an application that is being read comes first, until it pauses or goes on and on") {
  for (bool pauses : {true, false}) {
    Client client(16 * kMiB);
    auto old = client.open();
    client.fill_a_read(old);  // there may be more
    auto young = client.accept(2);
    CHECK_FALSE(has(client.transmit(), FrameType::open, young));
    if (pauses) {
      client.end.write(old, "the rest");
      CHECK_FALSE(has(client.transmit(), FrameType::open, young));
      // A moment for what its kernel still has to send.
      CHECK_FALSE(has(client.advance(tuning::kPause / 2), FrameType::open, young));
      CHECK(has(client.advance(tuning::kPause / 2), FrameType::open, young));
    } else {
      Duration waited{};
      for (; waited < tuning::kFollowBytes - milliseconds(10); waited += milliseconds(10)) {
        CHECK_FALSE(has(client.advance(milliseconds(10)), FrameType::open, young));
        client.fill_a_read(old);
        client.transmit();
      }
      CHECK(has(client.advance(milliseconds(10)), FrameType::open, young));
    }
  }
}

TEST_CASE("beside a long upload an OPEN does not wait") {
  Client client(1024 * kMiB);
  auto upload = client.open();
  for (std::uint64_t sent = 0; sent <= tuning::kFollowBurst; sent += 64 * kKiB) {
    client.fill_a_read(upload);
    client.transmit();
    client.receive(ack_frame({{StreamId{upload}, sent + 64 * kKiB, 1024 * kMiB}}));
  }
  client.fill_a_read(upload);
  auto young = client.accept(2);
  CHECK(has(client.transmit(), FrameType::open, young));
}

TEST_CASE("another service's streams and younger ones hold up no OPEN") {
  LinkPair pair;
  pair.settle();
  auto old = pair.open(0);
  pair.settle();
  pair.server.eat(old, 0);  // reads nothing: credit ends
  pair.client.write(old, std::string(1 * kMiB, 'x'));
  pair.client.finish(old);
  auto other = pair.open(1);
  pair.settle();
  CHECK(pair.server.has_app(other));
}

TEST_CASE("after an outage an OPEN follows what is replayed") {
  Client client(16 * kMiB);
  auto old = client.open();
  client.end.write(old, std::string(100000, 'x'));
  client.end.finish(old);
  client.transmit();
  client.lose_carrier();
  client.pass(seconds(5));
  auto young = client.accept(2);
  client.connect(old, {{StreamId{old}, 10, 10, 16 * kMiB, true}});
  auto frames = client.after_table;
  REQUIRE(has(frames, FrameType::open, young));
  CHECK(place_of(frames, FrameType::fin, old) < place_of(frames, FrameType::open, young));
}

// A service behind a busy host: each of many short connections takes a while, all of them longer
// than one may stand still.
TEST_CASE("at the server a chain of short connections keeps its order while it moves") {
  LinkPair pair;
  pair.server.connects = false;
  constexpr std::uint64_t kMany = 100;
  for (std::uint64_t i = 0; i < kMany; ++i) {
    auto id = pair.open();
    pair.client.write(id, "job");
    pair.client.finish(id);
  }
  pair.settle();
  for (std::uint64_t id = 1; id <= kMany; ++id) {
    pair.run_for(milliseconds(4));
    INFO("connection " << id);
    REQUIRE(pair.server.has_app(id));
    REQUIRE_FALSE(pair.server.has_app(id + 1));
    pair.server.link->opened(pair.now(), pair.server.app(id).handle);
    pair.server.eat(id, UINT64_MAX);
    pair.settle();
    CHECK(pair.server.app(id).fin_seen);
  }
}

TEST_CASE(
    "at the server nobody waits for a chain that stands still, nor longer than half a second") {
  LinkPair pair;
  pair.server.connects = false;
  for (int i = 0; i < 20; ++i) pair.client.finish(pair.open());
  pair.settle();
  CHECK_FALSE(pair.server.has_app(2));
  pair.run_for(milliseconds(100));
  CHECK(pair.server.has_app(2));
  CHECK_FALSE(pair.server.has_app(20));
  pair.run_for(milliseconds(500));
  CHECK(pair.server.has_app(20));
}

}  // namespace holdfast
