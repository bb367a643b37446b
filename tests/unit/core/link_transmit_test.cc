// What leaves, and in which order: fairness, control ahead of bulk, pinned blocks, floods.
#include "tests/catch.h"
#include "tests/unit/core/scripted_peer.h"

namespace holdfast {

using namespace test;

namespace {

using Role = LinkOptions::Role;

std::vector<std::uint64_t> open_many(ScriptedPeer& peer, std::size_t count) {
  std::vector<std::uint64_t> ids;
  for (std::size_t i = 0; i < count; ++i) ids.push_back(peer.open());
  return ids;
}

// Each has a megabyte to send, and credit for it.
void make_bulk(ScriptedPeer& peer, const std::vector<std::uint64_t>& ids) {
  for (auto id : ids) peer.end.write(id, std::string(1 * kMiB, static_cast<char>('a' + id % 26)));
}

std::vector<SentFrame> one_gather(ScriptedPeer& peer, std::size_t most = tuning::kMaxGather) {
  auto gather = peer.link().poll_transmit(peer.now(), most);
  REQUIRE(gather);
  Buffer bytes = ScriptedPeer::flatten(*gather);
  peer.link().written(peer.now(), gather->bytes);
  peer.end.drain();
  return decode_gather(bytes);
}

}  // namespace

TEST_CASE("a ping leaves within one gather beside ten bulk streams") {
  for (Role role : {Role::server, Role::client}) {
    ScriptedPeer peer(role);
    peer.initial_credit = 16 * kMiB;
    if (role == Role::client) {
      peer.lose_carrier();
      peer.connect();
    }
    auto bulk = open_many(peer, 10);
    auto ping = peer.open();
    make_bulk(peer, bulk);
    for (int round = 0; round < 5; ++round) {
      peer.end.write(ping, "ping");
      auto frames = one_gather(peer);
      std::size_t before = 0;
      bool seen = false;
      for (const SentFrame& frame : frames) {
        seen = seen || frame.id == ping;
        if (!seen) before += frame.bytes.size();
      }
      CHECK(seen);
      CHECK(before == 0);  // and ahead of bulk
    }
  }
}

TEST_CASE("what has 2 KiB to say goes ahead of bulk, and what has more does not") {
  for (std::size_t size : {tuning::kInteractiveBytes, tuning::kInteractiveBytes + 1}) {
    ScriptedPeer peer(Role::server);
    peer.initial_credit = 16 * kMiB;
    auto bulk = peer.open();
    auto small = peer.open();
    make_bulk(peer, {bulk});
    peer.end.write(small, std::string(size, 's'));
    CHECK(one_gather(peer).front().id == (size == tuning::kInteractiveBytes ? small : bulk));
  }
}

TEST_CASE("bulk streams get equal shares within a fifth") {
  for (std::size_t most : {tuning::kMaxGather, std::size_t{32768}}) {
    ScriptedPeer peer(Role::server);
    peer.initial_credit = 16 * kMiB;
    auto ids = open_many(peer, 10);
    make_bulk(peer, ids);
    std::map<std::uint64_t, std::size_t> bytes;
    std::size_t total = 0;
    while (total < 4 * kMiB) {
      for (const SentFrame& frame : one_gather(peer, most)) {
        bytes[frame.id] += frame.bytes.size();
        total += frame.bytes.size();
      }
    }
    for (auto id : ids) {
      INFO("stream " << id << " of " << total);
      CHECK(bytes[id] >= total / 10 * 8 / 10);
      CHECK(bytes[id] <= total / 10 * 12 / 10);
    }
  }
}

TEST_CASE("small streams together do not starve bulk") {
  ScriptedPeer peer(Role::server, 64 * kMiB);
  peer.initial_credit = 16 * kMiB;
  auto bulk = peer.open();
  auto small = open_many(peer, 500);
  make_bulk(peer, {bulk});
  std::size_t bulk_bytes = 0;
  for (int round = 0; round < 10; ++round) {
    for (auto id : small) peer.end.write(id, std::string(1500, 's'));
    for (const SentFrame& frame : one_gather(peer)) {
      if (frame.id == bulk) bulk_bytes += frame.bytes.size();
    }
  }
  CHECK(bulk_bytes >= 10 * 16384);
}

TEST_CASE("control frames leave ahead of bulk data") {
  ScriptedPeer peer(Role::server);
  peer.initial_credit = 16 * kMiB;
  auto bulk = open_many(peer, 3);
  auto quiet = peer.open();
  auto killed = peer.open();
  make_bulk(peer, bulk);
  peer.receive(ping_frame(42));
  peer.receive_data(quiet, 0, std::string(4000, 'x'), 0, 16 * kMiB);
  peer.end.reset(killed, Cause::admin_kill);
  peer.end.drain();
  std::vector<FrameType> order;
  for (const SentFrame& frame : peer.transmit()) order.push_back(frame.type);
  REQUIRE(order.size() > 3);
  CHECK(order[0] == FrameType::pong);
  CHECK(order[1] == FrameType::reset);
  CHECK(order[2] == FrameType::ack);
  CHECK(order[3] == FrameType::data);
}

TEST_CASE("a gather is not much larger than what was asked for") {
  ScriptedPeer peer(Role::server);
  peer.initial_credit = 16 * kMiB;
  make_bulk(peer, open_many(peer, 3));
  for (std::size_t most : {std::size_t{1000}, std::size_t{16384}, std::size_t{100000}}) {
    auto gather = peer.link().poll_transmit(peer.now(), most);
    REQUIRE(gather);
    CHECK(gather->bytes <= most + 4096);
    CHECK(gather->buffers.size() <= tuning::kMaxGatherBuffers);
    peer.link().written(peer.now(), gather->bytes);
  }
}

TEST_CASE("nothing more is gathered until all of the last gather is written") {
  ScriptedPeer peer(Role::server);
  auto id = peer.open();
  peer.end.write(id, "abc");
  auto gather = peer.link().poll_transmit(peer.now(), 65536);
  REQUIRE(gather);
  std::size_t size = gather->bytes;
  peer.end.write(id, "def");
  CHECK_FALSE(peer.link().poll_transmit(peer.now(), 65536));
  peer.link().written(peer.now(), size - 1);
  CHECK_FALSE(peer.link().poll_transmit(peer.now(), 65536));
  peer.link().written(peer.now(), 1);
  CHECK(peer.link().poll_transmit(peer.now(), 65536));
  peer.lose_carrier();
}

TEST_CASE("blocks of an unwritten gather are not reused, whatever ends their stream") {
  struct Row {
    const char* name;
    void (*end_it)(ScriptedPeer&, std::uint64_t);
  };
  const Row rows[] = {
      {"our reset", [](ScriptedPeer& p, std::uint64_t id) { p.end.reset(id, Cause::admin_kill); }},
      {"the peer's reset",
       [](ScriptedPeer& p, std::uint64_t id) { p.receive(reset_frame(id, Cause::admin_kill)); }},
      {"the peer's abort",
       [](ScriptedPeer& p, std::uint64_t id) { p.receive(abort_frame(id, 0, Cause::other)); }},
      {"an ack of bytes that have not left",
       [](ScriptedPeer& p, std::uint64_t id) {
         p.receive(ack_frame({{StreamId{id}, 20000, 65536}}));
       }},
  };
  for (bool beside_an_ended_stream : {false, true}) {
    for (const Row& row : rows) {
      INFO(row.name << (beside_an_ended_stream ? ", another stream ends in the gather" : ""));
      ScriptedPeer peer(Role::server);
      auto victim = peer.open();
      auto other = peer.open();
      auto ending = peer.open();
      auto small = peer.open();
      if (beside_an_ended_stream) {
        // All but our ack of its FIN is done, so that gathering that ack frees it.
        peer.end.finish(ending);
        peer.transmit();
        peer.receive(ack_frame({{StreamId{ending}, 1, 65536}}));
        peer.receive(fin_frame(ending, 0));
      }
      // Interactive first: gathered before the acks are.
      peer.end.write(small, std::string(1000, 's'));
      peer.end.write(victim, std::string(20000, 'v'));
      auto gather = peer.link().poll_transmit(peer.now(), tuning::kMaxGather);
      REQUIRE(gather);
      Buffer before = ScriptedPeer::flatten(*gather);
      row.end_it(peer, victim);
      peer.receive(reset_frame(small, Cause::admin_kill));
      peer.end.drain();
      peer.end.write(other, std::string(60000, 'o'));
      Buffer after = ScriptedPeer::flatten(*gather);
      bool same = before == after;
      CHECK(same);
      peer.link().written(peer.now(), gather->bytes);
    }
  }
}

TEST_CASE("blocks given back late are free again once the gather is written or dropped") {
  for (bool dropped : {false, true}) {
    ScriptedPeer peer(Role::server);
    auto id = peer.open();
    peer.end.write(id, std::string(30000, 'v'));
    auto gather = peer.link().poll_transmit(peer.now(), tuning::kMaxGather);
    REQUIRE(gather);
    peer.receive(reset_frame(id, Cause::admin_kill));
    CHECK(peer.end.pool.arena.in_use() > 0);
    if (dropped) {
      peer.lose_carrier();
    } else {
      peer.link().written(peer.now(), gather->bytes);
    }
    CHECK(peer.end.pool.arena.in_use() == 0);
  }
}

TEST_CASE("a flood of PINGs is answered by the last one only") {
  ScriptedPeer peer(Role::server);
  for (std::uint64_t i = 1; i <= 10000; ++i) peer.receive(ping_frame(i));
  auto frames = peer.transmit();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].type == FrameType::pong);
  CHECK(frames[0].id == 10000);
}

TEST_CASE("a flood of RESETs of streams that are over changes nothing") {
  ScriptedPeer peer(Role::server);
  auto id = peer.open();
  peer.receive(reset_frame(id, Cause::other));
  std::uint64_t effects = peer.end.effects;
  for (int i = 0; i < 10000; ++i) peer.receive(reset_frame(id, Cause::other));
  CHECK(peer.end.effects == effects);
  CHECK(peer.transmit().empty());
  CHECK(peer.link().live());
}

TEST_CASE("refused OPENs cost no record, are answered, and are bounded while nothing is sent") {
  ScriptedPeer peer(Role::server);
  std::uint64_t id = 0;
  for (int i = 0; i < 100; ++i) peer.receive(open_frame(++id, 4096, "nothing"));
  CHECK(peer.link().stream_count() == 0);
  CHECK(peer.end.refused_opens.size() == 100);
  CHECK(peer.end.refused_opens[0] == Cause::unknown_service);
  auto frames = peer.transmit();
  REQUIRE(frames.size() == 100);
  CHECK(frames[0].type == FrameType::reset);
  CHECK(frames[0].code == Cause::unknown_service);
  for (std::size_t i = 0; i <= tuning::kMaxRefusals && peer.link().live(); ++i) {
    peer.receive(open_frame(++id, 4096, "nothing"));
  }
  CHECK(peer.violated());
}

TEST_CASE("streams beyond the limit are refused and the others live on") {
  ScriptedPeer peer(Role::server, 64 * kMiB, 10);
  for (std::uint64_t id = 1; id <= 12; ++id) peer.receive(open_frame(id, 4096, "echo"));
  CHECK(peer.link().stream_count() == 10);
  CHECK(peer.end.refused_opens == std::vector<Cause>{Cause::limit, Cause::limit});
  peer.receive(reset_frame(3, Cause::other));
  peer.receive(open_frame(13, 4096, "echo"));
  CHECK(peer.link().stream_count() == 10);
}

TEST_CASE("a flood of streams opened and reset leaves no memory behind") {
  ScriptedPeer peer(Role::server);
  std::uint64_t id = 0;
  for (int i = 0; i < 5000; ++i) {
    id += 1;
    peer.receive(open_frame(id, 4096, "echo"));
    peer.end.app(id).appetite = 0;
    peer.receive_data(id, 0, "unread");
    peer.receive(abort_frame(id, 6, Cause::other));
    peer.receive(reset_frame(id, Cause::other));
    peer.end.apps.clear();
  }
  CHECK(peer.link().stream_count() == 0);
  CHECK(peer.end.pool.arena.in_use() == 0);
}

TEST_CASE("GOODBYE is the last frame and says so") {
  ScriptedPeer peer(Role::server);
  auto id = peer.open();
  peer.end.write(id, "last");
  peer.end.finish(id);
  peer.link().goodbye(peer.now(), Cause::shutdown);
  auto frames = peer.transmit();
  for (const SentFrame& frame : frames) CHECK(frame.type != FrameType::goodbye);
  peer.receive(ack_frame({{StreamId{id}, 5, 65536}}));
  auto gather = peer.link().poll_transmit(peer.now(), 65536);
  REQUIRE(gather);
  CHECK(gather->last);
  CHECK(decode_gather(ScriptedPeer::flatten(*gather)).back().type == FrameType::goodbye);
  peer.link().written(peer.now(), gather->bytes);
  peer.end.drain();
  CHECK(peer.end.ended == Cause::shutdown);
  CHECK_FALSE(peer.link().poll_transmit(peer.now(), 65536));
}

TEST_CASE("a link that was wronged, or has said GOODBYE, takes nothing more") {
  for (bool wronged : {true, false}) {
    ScriptedPeer peer(Role::server);
    auto id = peer.open();
    peer.receive_data(id, 0, "before");
    if (wronged) {
      peer.receive(drain_frame());
    } else {
      peer.link().goodbye(peer.now(), Cause::shutdown);
      peer.pass(seconds(1));
      peer.link().timeout(peer.now());
      auto gather = peer.link().poll_transmit(peer.now(), tuning::kMaxGather);
      REQUIRE(gather);
      CHECK(gather->last);
    }
    std::string detail = peer.link().detail();
    peer.receive_data(id, 6, "after");
    peer.receive(services_down_frame({}));
    CHECK(peer.end.app(id).received == "before");
    CHECK(peer.link().detail() == detail);
    CHECK(peer.link().state_name() == "leaving");
  }
}

TEST_CASE("while bulk flows the round trip is measured every 100 ms by one PING at a time") {
  ScriptedPeer peer(Role::server);
  peer.initial_credit = 16 * kMiB;
  auto id = peer.open();
  auto pings = [&](Duration time) {
    peer.pass(time);
    peer.end.drain();  // a PING that is due anyway is the one
    peer.end.write(id, std::string(8 * kKiB, 'x'));
    std::vector<std::uint64_t> tokens;
    for (const SentFrame& frame : peer.transmit()) {
      if (frame.type == FrameType::ping) tokens.push_back(frame.id);
    }
    return tokens;
  };
  for (const SentFrame& frame : peer.after_table) {
    if (frame.type == FrameType::ping) peer.receive(pong_frame(frame.id));
  }
  auto first = pings(seconds(10));
  REQUIRE(first.size() == 1);
  CHECK(pings(milliseconds(200)).empty());  // it is not answered yet
  peer.receive(pong_frame(first[0]));
  auto second = pings(Duration{});
  REQUIRE(second.size() == 1);
  peer.receive(pong_frame(second[0]));
  CHECK(pings(milliseconds(100) - Duration(1)).empty());
  CHECK(pings(Duration(1)).size() == 1);
}

TEST_CASE("no more than a mebibyte is read ahead of what is sent") {
  for (Role role : {Role::server, Role::client}) {
    ScriptedPeer peer(role);
    peer.initial_credit = 16 * kMiB;
    if (role == Role::client) {
      peer.lose_carrier();
      peer.connect();
    }
    auto id = peer.open();
    peer.end.write(id, std::string(4 * kMiB, 'x'));
    auto summary = peer.link().find_stream(peer.now(), StreamId{id}, nullptr);
    REQUIRE(summary);
    CHECK(summary->sent_bytes == tuning::kMaxUnsent);
    CHECK(summary->pause == Pause::credit);
  }
}

TEST_CASE("the peer's PING is answered and our own measures the round trip") {
  ScriptedPeer peer(Role::server);
  peer.pass(milliseconds(1250));
  peer.link().timeout(peer.now());
  auto frames = peer.transmit();
  REQUIRE(frames.size() == 1);
  REQUIRE(frames[0].type == FrameType::ping);
  peer.pass(milliseconds(80));
  peer.receive(pong_frame(frames[0].id + 1));  // not ours
  CHECK(peer.link().liveness().round_trip() == Duration{});
  peer.receive(pong_frame(frames[0].id));
  CHECK(peer.link().liveness().round_trip() == milliseconds(80));
}

}  // namespace holdfast
