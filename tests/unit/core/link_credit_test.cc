// Acks and credit: an ack means delivered; credit follows need and never shrinks.
#include "tests/catch.h"
#include "tests/unit/core/scripted_peer.h"

namespace holdfast {

using namespace test;

namespace {

using Role = LinkOptions::Role;
const Role kBoth[] = {Role::server, Role::client};

std::vector<AckEntry> acks_in(const std::vector<SentFrame>& frames) {
  std::vector<AckEntry> acks;
  for (const SentFrame& frame : frames)
    acks.insert(acks.end(), frame.acks.begin(), frame.acks.end());
  return acks;
}

const SentFrame* find_frame(const std::vector<SentFrame>& frames, FrameType type) {
  for (const SentFrame& frame : frames) {
    if (frame.type == type) return &frame;
  }
  return nullptr;
}

}  // namespace

TEST_CASE("receipt alone is never acked") {
  for (Role role : kBoth) {
    ScriptedPeer peer(role);
    auto id = peer.open();
    peer.end.app(id).appetite = 0;
    peer.receive_data(id, 0, std::string(4096, 'x'));
    // More credit may be announced; the ack stays where it is.
    for (int i = 0; i < 40; ++i) {
      for (const AckEntry& ack : acks_in(peer.advance(milliseconds(25)))) CHECK(ack.ack == 0);
    }
    peer.end.eat(id, 1000);
    auto acks = acks_in(peer.advance(milliseconds(25)));
    REQUIRE(acks.size() == 1);
    CHECK(acks[0].ack == 1000);
  }
}

TEST_CASE("an application that reads nothing causes no ACK without news") {
  for (Role role : kBoth) {
    ScriptedPeer peer(role);
    auto id = peer.open();
    peer.end.app(id).appetite = 0;
    std::uint64_t limit = 0;
    for (std::uint64_t offset = 0; offset < 65000; offset += 1000) {
      peer.receive_data(id, offset, std::string(1000, 'x'));
      for (const AckEntry& ack : acks_in(peer.advance(milliseconds(50)))) {
        CHECK(ack.limit > limit);
        limit = ack.limit;
      }
    }
  }
}

TEST_CASE("a FIN is acked when the application has it and not before") {
  ScriptedPeer peer(Role::server);
  auto id = peer.open();
  peer.end.takes_ends = false;
  peer.receive(fin_frame(id, 0));
  CHECK(acks_in(peer.advance(milliseconds(100))).empty());
  peer.link().fin_delivered(peer.now(), peer.end.app(id).handle);
  CHECK(acks_in(peer.transmit()).empty());  // the other way goes on, and nobody waits for it
  auto acks = acks_in(peer.advance(tuning::kAckDelay));
  REQUIRE(acks.size() == 1);
  CHECK(acks[0].ack == 1);
}

TEST_CASE("the first FIN's ack goes with the second FIN") {
  for (Role role : kBoth) {
    ScriptedPeer peer(role);
    auto id = peer.open();
    peer.receive(fin_frame(id, 0));
    peer.transmit();
    peer.link().finish(peer.now(), peer.end.app(id).handle);
    auto frames = peer.transmit();
    REQUIRE(find_frame(frames, FrameType::fin) != nullptr);
    auto acks = acks_in(frames);
    REQUIRE(acks.size() == 1);
    CHECK(acks[0].ack == 1);
    CHECK(acks_in(peer.advance(tuning::kAckDelay)).empty());
  }
}

TEST_CASE("the second FIN is acked at once and an ack already written is not repeated") {
  for (Role role : kBoth) {
    ScriptedPeer peer(role);
    auto id = peer.open();
    peer.link().finish(peer.now(), peer.end.app(id).handle);
    peer.transmit();
    peer.receive(fin_frame(id, 0));
    auto acks = acks_in(peer.transmit());
    REQUIRE(acks.size() == 1);
    CHECK(acks[0].ack == 1);

    auto late = peer.open();
    peer.receive(fin_frame(late, 0));
    CHECK(acks_in(peer.advance(tuning::kAckDelay)).size() == 1);
    peer.link().finish(peer.now(), peer.end.app(late).handle);
    CHECK(acks_in(peer.transmit()).empty());
  }
}

TEST_CASE("little progress is acked by the timer, a quarter of the window at once") {
  ScriptedPeer peer(Role::server);
  auto id = peer.open();
  peer.receive_data(id, 0, std::string(500, 'x'));
  CHECK(acks_in(peer.transmit()).empty());
  CHECK(peer.link().next_timeout() == peer.now() + tuning::kAckDelay);
  auto late = acks_in(peer.advance(tuning::kAckDelay));
  REQUIRE(late.size() == 1);
  CHECK(late[0].ack == 500);
  CHECK(late[0].limit > 4096);
  std::uint64_t quarter = (late[0].limit - 500) / 4;
  peer.receive_data(id, 500, std::string(quarter + 16, 'x'));
  auto soon = acks_in(peer.transmit());
  REQUIRE(soon.size() == 1);
  CHECK(soon[0].ack == 500 + quarter + 16);
}

TEST_CASE("an ack travels with data that goes the other way and not again after it") {
  ScriptedPeer peer(Role::server);
  auto id = peer.open();
  peer.receive_data(id, 0, std::string(100, 'x'));
  peer.end.write(id, "reply");
  auto frames = peer.transmit();
  const SentFrame* data = find_frame(frames, FrameType::data);
  REQUIRE(data != nullptr);
  CHECK(data->ack == 100);
  CHECK(data->limit > 4096);
  CHECK(acks_in(frames).empty());
  CHECK(acks_in(peer.advance(milliseconds(30))).empty());
}

TEST_CASE("an ack that travels with data covers what was delivered and not what was received") {
  for (Role role : kBoth) {
    ScriptedPeer peer(role);
    auto id = peer.open();
    peer.end.app(id).appetite = 30;
    peer.receive_data(id, 0, std::string(100, 'x'));
    peer.end.write(id, "reply");
    auto frames = peer.transmit();
    const SentFrame* data = find_frame(frames, FrameType::data);
    REQUIRE(data != nullptr);
    CHECK(data->ack == 30);
  }
}

TEST_CASE("acks of many streams share one frame") {
  ScriptedPeer peer(Role::server);
  for (std::uint64_t id = 1; id <= 100; ++id) {
    peer.open();
    peer.receive_data(id, 0, "x");
  }
  auto frames = peer.advance(milliseconds(25));
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].acks.size() == 100);
}

TEST_CASE("the window grows with need and does not shrink by itself") {
  LinkPair::Options options;
  options.one_way = milliseconds(30);
  LinkPair pair(options);
  auto id = pair.open();
  pair.run_for(seconds(1));
  auto window = [&] {
    return pair.server.link->find_stream(pair.now(), StreamId{id}, nullptr)->window;
  };
  std::uint64_t before = window();
  CHECK(before == tuning::kInitialWindow);
  pair.client.write(id, std::string(64 * kMiB, 'x'));
  std::uint64_t last = before;
  for (int i = 0; i < 30; ++i) {
    pair.run_for(milliseconds(100));
    CHECK(window() >= last);
    last = window();
  }
  CHECK(last >= 2 * kMiB);
  CHECK(last <= 16 * kMiB);
  CHECK(pair.server.app(id).received.size() > 16 * kMiB);
}

TEST_CASE("max_window bounds what is under way from the first byte on") {
  LinkPair pair;
  pair.settle();
  LinkOptions mine = pair.server.link->options();
  mine.max_window = 16 * kKiB;
  pair.server.link->reconfigure(mine);
  auto id = pair.open();
  pair.run_for(seconds(1));
  pair.server.app(id).appetite = 0;
  pair.client.write(id, std::string(1 * kMiB, 'x'));
  pair.run_for(seconds(1));
  auto summary = pair.server.link->find_stream(pair.now(), StreamId{id}, nullptr);
  CHECK(summary->window == 16 * kKiB);
  CHECK(summary->queued_bytes == 16 * kKiB);
  pair.server.eat(id, 1000);
  pair.run_for(seconds(1));
  CHECK(pair.server.link->find_stream(pair.now(), StreamId{id}, nullptr)->queued_bytes <=
        16 * kKiB);
}

TEST_CASE("a max_window that a reload lowers shrinks windows that have grown") {
  LinkPair::Options options;
  options.one_way = milliseconds(30);
  LinkPair pair(options);
  auto id = pair.open();
  pair.client.write(id, std::string(16 * kMiB, 'x'));
  pair.run_for(seconds(2));
  auto now = [&] { return *pair.server.link->find_stream(pair.now(), StreamId{id}, nullptr); };
  CHECK(now().window > 128 * kKiB);
  LinkOptions mine = pair.server.link->options();
  mine.max_window = 32 * kKiB;
  pair.server.link->reconfigure(mine);
  CHECK(now().window == 32 * kKiB);
  pair.client.write(id, std::string(32 * kMiB, 'x'));  // more than was promised before
  pair.run_for(seconds(2));
  pair.server.app(id).appetite = 0;
  pair.run_for(seconds(1));
  CHECK(now().queued_bytes <= 32 * kKiB);
  CHECK(now().queued_bytes > 0);
}

TEST_CASE("an application that is slower than the path does not make the window grow") {
  LinkPair::Options options;
  options.one_way = milliseconds(5);
  LinkPair pair(options);
  auto id = pair.open();
  pair.run_for(seconds(1));
  pair.server.app(id).appetite = 0;
  pair.client.write(id, std::string(4 * kMiB, 'x'));
  for (int i = 0; i < 300; ++i) {
    pair.run_for(milliseconds(10));
    pair.server.eat(id, 1000);
  }
  CHECK(pair.server.link->find_stream(pair.now(), StreamId{id}, nullptr)->window <=
        2 * tuning::kInitialWindow);
}

TEST_CASE("reading goes on when there is room for 16 KiB") {
  for (Role role : kBoth) {
    ScriptedPeer peer(role);
    auto id = peer.open();
    peer.end.write(id, std::string(200'000, 'x'));
    peer.transmit();
    REQUIRE(peer.end.app(id).to_send.size() == 200'000 - 65536);
    peer.receive(ack_frame({{StreamId{id}, 0, 65536 + 16383}}));
    CHECK(peer.end.app(id).to_send.size() == 200'000 - 65536);
    peer.receive(ack_frame({{StreamId{id}, 0, 65536 + 16384}}));
    CHECK(peer.end.app(id).to_send.size() == 200'000 - 65536 - 16384);
    peer.transmit();
    peer.receive(ack_frame({{StreamId{id}, 65536 + 16384, 65536 + 16384 + 65536}}));
    CHECK(peer.end.app(id).to_send.size() == 200'000 - 65536 - 16384 - 65536);
  }
}

TEST_CASE("limits announced on the wire never fall") {
  LinkPair::Options options;
  options.memory = 2 * kMiB;
  options.streams = 40;
  LinkPair pair(options);
  std::vector<std::uint64_t> ids;
  for (int i = 0; i < 40; ++i) ids.push_back(pair.open());
  pair.run_for(milliseconds(100));
  for (auto id : ids) pair.client.write(id, std::string(300000, 'x'));
  for (auto id : ids) pair.server.app(id).appetite = id % 3 == 0 ? 0 : UINT64_MAX;
  for (int i = 0; i < 6; ++i) {
    // A limit that fell would be a violation at the client, and end the link.
    pair.run_for(milliseconds(50));
    pair.cut_with_bytes_in_flight();
  }
  pair.run_for(seconds(1));
  CHECK_FALSE(pair.client.ended);
  CHECK(pair.client.link->detail() == "");
  for (auto id : ids) {
    if (id % 3 != 0) CHECK(pair.server.app(id).received.size() == 300000);
  }
}

TEST_CASE("credit promised never exceeds the memory for it, and each stream has its floor") {
  LinkPair::Options options;
  options.memory = 4 * kMiB;
  options.streams = 200;
  LinkPair pair(options);
  pair.server.appetite = 0;
  std::vector<std::uint64_t> ids;
  for (int i = 0; i < 200; ++i) ids.push_back(pair.open());
  pair.run_for(milliseconds(100));
  for (auto id : ids) pair.client.write(id, std::string(200000, 'x'));
  pair.run_for(seconds(5));
  CHECK(pair.server.pool.arena.in_use() * tuning::kBlockSize <= options.memory);
  CHECK(pair.client.pool.arena.in_use() * tuning::kBlockSize <= options.memory);
  for (auto id : ids) {
    auto stream = pair.server.link->find_stream(pair.now(), StreamId{id}, nullptr);
    REQUIRE(stream);
    CHECK(stream->queued_bytes >= tuning::kFloor);
  }
}

TEST_CASE("a peer that breaks the rules of credit and acks ends its link and nothing else") {
  struct Row {
    const char* name;
    void (*act)(ScriptedPeer&);
  };
  const Row rows[] = {
      {"DATA beyond the limit",
       [](ScriptedPeer& p) {
         p.receive_data(1, 0, std::string(kMaxDataBytes, 'x'));
         p.receive_data(1, kMaxDataBytes, std::string(kMaxDataBytes, 'x'));
       }},
      {"an ack of bytes that were never sent",
       [](ScriptedPeer& p) {
         p.receive(ack_frame({{StreamId{1}, 1, 65536}}));
       }},
      {"an ack that goes back",
       [](ScriptedPeer& p) {
         p.end.write(1, "abc");
         p.transmit();
         p.receive(ack_frame({{StreamId{1}, 3, 65536}}));
         p.receive(ack_frame({{StreamId{1}, 2, 65536}}));
       }},
      {"a limit that shrinks",
       [](ScriptedPeer& p) {
         p.receive(ack_frame({{StreamId{1}, 0, 65535}}));
       }},
      {"an absurd limit",
       [](ScriptedPeer& p) {
         p.receive(ack_frame({{StreamId{1}, 0, UINT64_MAX}}));
       }},
      {"an ack of a stream that never was",
       [](ScriptedPeer& p) {
         p.receive(ack_frame({{StreamId{7}, 0, 65536}}));
       }},
      {"a bad entry behind a good one",
       [](ScriptedPeer& p) {
         p.receive(ack_frame({{StreamId{1}, 0, 65536}, {StreamId{9}, 0, 65536}}));
       }},
      {"stream id zero", [](ScriptedPeer& p) { p.receive(fin_frame(0, 0)); }},
      {"an unknown mandatory frame", [](ScriptedPeer& p) { p.receive(raw_frame(50, {})); }},
      {"a frame cut short", [](ScriptedPeer& p) { p.receive(raw_frame(14, Buffer(15, 0))); }},
      {"HELLO in the middle", [](ScriptedPeer& p) { p.receive(golden("hello")); }},
      {"TABLE in the middle", [](ScriptedPeer& p) { p.receive(golden("table_empty")); }},
      {"WELCOME in the middle", [](ScriptedPeer& p) { p.receive(golden("welcome")); }},
  };
  for (Role role : kBoth) {
    for (const Row& row : rows) {
      INFO((role == Role::client ? "client: " : "server: ") << row.name);
      ScriptedPeer peer(role);
      auto id = peer.open();
      row.act(peer);
      CHECK(peer.violated());
      CHECK(peer.end.app(id).reset == Cause::protocol);
      CHECK(peer.end.app(id).ended);
      CHECK(peer.link().detail() != "");
    }
  }
}

TEST_CASE("frames that only the other role may send are violations") {
  {
    ScriptedPeer peer(Role::server);
    peer.receive(drain_frame());
    CHECK(peer.violated());
  }
  {
    ScriptedPeer peer(Role::client);
    peer.receive(open_frame(1, 4096, "echo"));
    CHECK(peer.violated());
  }
}

TEST_CASE("every DATA frame within the limit is taken up to its last byte") {
  ScriptedPeer peer(Role::server);
  auto id = peer.open();
  peer.end.app(id).appetite = 0;
  peer.receive_data(id, 0, std::string(tuning::kFloor, 'x'));
  CHECK(peer.link().live());
  peer.receive(fin_frame(id, tuning::kFloor));  // end marks need no credit
  CHECK(peer.link().live());
  peer.end.eat(id, UINT64_MAX);
  peer.end.drain();
  CHECK(peer.end.app(id).fin_seen);
}

TEST_CASE("one byte more than the limit is a violation") {
  ScriptedPeer peer(Role::server);
  auto id = peer.open();
  peer.end.app(id).appetite = 0;
  peer.receive_data(id, 0, std::string(tuning::kFloor + 1, 'x'));
  CHECK(peer.violated());
}

}  // namespace holdfast
