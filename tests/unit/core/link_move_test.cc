// Another server that answers, and streams that move to another link.
#include "tests/catch.h"
#include "tests/unit/core/scripted_peer.h"

namespace holdfast {

using namespace test;

namespace {

// A client whose next carrier leads to a server that knows nothing of the link.
struct Client : ScriptedPeer {
  Client() : ScriptedPeer(Role::client) {}

  void meet_another_server(Verdict verdict = Verdict::unknown) {
    link().carrier_up(now(), CarrierId{50}, Duration{});
    end.drain();
    transmit();
    Welcome welcome;
    welcome.verdict = verdict;
    welcome.server = "another";
    if (verdict == Verdict::refused) welcome.code = Cause::auth;
    end.receive(CarrierId{50}, welcome_frame(welcome));
  }
  StreamHandle wait() {
    auto handle = link().open(now(), {0, {}, {}});
    REQUIRE(handle.ok());
    end.app(handle->id.value).handle = *handle;
    return *handle;
  }
};

}  // namespace

TEST_CASE("a link none of whose streams was ever written begins anew at another server") {
  for (bool waits : {false, true}) {
    Client client;
    auto over = client.open();
    client.end.reset(over, Cause::admin_kill);
    client.transmit();
    client.lose_carrier();
    if (waits) client.wait();
    client.meet_another_server();
    CHECK(client.end.ended == Cause::other_server);
    client.link().renew(client.now(), LinkId{{2}});
    CHECK(client.link().stream_count() == (waits ? 1 : 0));
    CHECK(client.link().wants_carrier());
  }
}

TEST_CASE("a stream that was written holds its link to its server, answered or not") {
  for (bool answered : {false, true}) {
    Client client;
    if (answered) {
      client.open();
    } else {
      client.wait();
      client.transmit();
    }
    client.lose_carrier();
    client.meet_another_server();
    CHECK_FALSE(client.end.ended);
    CHECK(client.end.refusals == std::vector<Cause>{Cause::other_server});
    CHECK(client.link().detached());
    CHECK(client.link().stream_count() == 1);
  }
}

TEST_CASE("a stream that is reset and waits to say so holds no link") {
  Client client;
  auto killed = client.open();
  client.lose_carrier();
  client.end.reset(killed, Cause::admin_kill);
  CHECK_FALSE(client.link().bound());
  client.meet_another_server();
  CHECK(client.end.ended == Cause::other_server);
  CHECK(client.link().stream_count() == 0);
}

TEST_CASE("another server that refuses ends nothing") {
  Client client;
  client.lose_carrier();
  client.meet_another_server(Verdict::refused);
  CHECK_FALSE(client.end.ended);
  CHECK(client.link().detached());
}

TEST_CASE("streams that nobody heard of go on over another link with all that they had") {
  Client old;
  auto stays = old.open();
  old.lose_carrier();
  std::vector<StreamHandle> waiting = {old.wait(), old.wait(), old.wait()};
  old.end.write(waiting[0].id.value, std::string(10000, 'a'));
  old.end.write(waiting[1].id.value, "request");
  old.end.finish(waiting[1].id.value);
  old.end.write(waiting[2].id.value, "broken");
  old.end.abort(waiting[2].id.value);
  CHECK(old.link().unwritten() == waiting);

  LinkOptions options = old.link().options();
  Link link(options, old.end.pool, LinkId{{7}}, 0);
  std::uint32_t streams = old.end.pool.streams();
  std::size_t blocks = old.end.pool.arena.in_use();
  for (std::uint64_t id = 1; id <= 3; ++id) {
    auto moved = link.take_over(old.now(), old.link(), waiting[id - 1]);
    REQUIRE(moved);
    CHECK(moved->id.value == id);
    link.check_invariants();
    old.link().check_invariants();
  }
  CHECK(old.link().stream_count() == 1);
  CHECK(link.stream_count() == 3);
  CHECK(old.end.pool.streams() == streams);
  CHECK(old.end.pool.arena.in_use() == blocks);
  CHECK_FALSE(link.take_over(old.now(), old.link(), StreamHandle{0, StreamId{stays}}));

  // What the new link says of them.
  link.carrier_up(old.now(), CarrierId{60}, Duration{});
  while (auto gather = link.poll_transmit(old.now(), tuning::kMaxGather)) {
    link.written(old.now(), gather->bytes);
  }
  Welcome welcome;
  welcome.verdict = Verdict::created;
  welcome.instance = 5;
  welcome.server = "another";
  welcome.grace = seconds(10);
  welcome.max_streams = 100;
  welcome.initial_credit = 65536;
  Buffer bytes = welcome_frame(welcome) + table_frames(0, {});
  link.carrier_bytes(old.now(), CarrierId{60}, bytes);
  while (link.poll_effect(old.now())) {
  }
  std::map<std::uint64_t, std::string> data;
  std::map<FrameType, std::uint64_t> ends;
  while (auto gather = link.poll_transmit(old.now(), tuning::kMaxGather)) {
    for (const SentFrame& frame : decode_gather(ScriptedPeer::flatten(*gather))) {
      if (frame.type == FrameType::data) data[frame.id] += frame.bytes;
      if (frame.type == FrameType::fin || frame.type == FrameType::abort) {
        ends[frame.type] = frame.id;
      }
    }
    link.written(old.now(), gather->bytes);
  }
  CHECK(data[1] == std::string(10000, 'a'));
  CHECK(data[2] == "request");
  CHECK(data[3] == "broken");
  CHECK(ends[FrameType::fin] == 2);
  CHECK(ends[FrameType::abort] == 3);
}

}  // namespace holdfast
