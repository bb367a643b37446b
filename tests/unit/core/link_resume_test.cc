// Resuming: the exchange of tables, replay, and tables of hostile peers.
#include "tests/catch.h"
#include "tests/unit/core/scripted_peer.h"

namespace holdfast {

using namespace test;

namespace {

using Role = LinkOptions::Role;

std::string joined_data(const std::vector<SentFrame>& frames, std::uint64_t id) {
  std::string bytes;
  for (const SentFrame& frame : frames) {
    if (frame.type == FrameType::data && frame.id == id) bytes += frame.bytes;
  }
  return bytes;
}

const SentFrame* find_frame(const std::vector<SentFrame>& frames, FrameType type) {
  for (const SentFrame& frame : frames) {
    if (frame.type == type) return &frame;
  }
  return nullptr;
}

std::uint64_t replayed(ScriptedPeer& peer) {
  return peer.link().counters().replayed_bytes;
}

}  // namespace

TEST_CASE("what the peer has not received is resent from there and nothing else") {
  for (Role role : {Role::server, Role::client}) {
    ScriptedPeer peer(role);
    auto id = peer.open();
    peer.end.write(id, "0123456789");
    peer.transmit();
    peer.lose_carrier();
    peer.end.write(id, "new");
    peer.connect(id, {{StreamId{id}, 4, 2, 65536, true}});
    CHECK(joined_data(peer.after_table, id) == "456789new");
    CHECK(replayed(peer) == 6);
  }
}

TEST_CASE("nothing received yet is resumed from the first byte") {
  ScriptedPeer peer(Role::server);
  auto id = peer.open();
  peer.end.write(id, "all of it");
  peer.transmit();
  peer.lose_carrier();
  peer.connect(id, {{StreamId{id}, 0, 0, 65536, true}});
  CHECK(joined_data(peer.after_table, id) == "all of it");
}

TEST_CASE("replay itself can be cut and starts over") {
  ScriptedPeer peer(Role::client);
  auto id = peer.open();
  peer.end.write(id, "0123456789");
  peer.transmit();
  for (std::uint64_t received : {1, 4, 4, 9}) {
    peer.lose_carrier();
    peer.connect(id, {{StreamId{id}, received, 0, 65536, true}});
    CHECK(joined_data(peer.after_table, id) == std::string("0123456789").substr(received));
  }
  CHECK(peer.link().counters().resumes == 4);
}

TEST_CASE("end marks are replayed like bytes") {
  ScriptedPeer peer(Role::server);
  auto id = peer.open();
  peer.end.write(id, "ab");
  peer.end.finish(id);
  peer.transmit();
  peer.lose_carrier();
  peer.connect(id, {{StreamId{id}, 2, 2, 65536, true}});
  const SentFrame* fin = find_frame(peer.after_table, FrameType::fin);
  REQUIRE(fin != nullptr);
  CHECK(fin->offset == 2);
  peer.lose_carrier();
  peer.connect(id, {{StreamId{id}, 3, 2, 65536, true}});
  CHECK(find_frame(peer.after_table, FrameType::fin) == nullptr);
}

TEST_CASE("our table says what was received and what was delivered") {
  ScriptedPeer peer(Role::server);
  auto id = peer.open();
  peer.end.app(id).appetite = 3;
  peer.receive_data(id, 0, "12345");
  peer.lose_carrier();
  peer.connect(1, {{StreamId{id}, 0, 0, 65536, true}});
  REQUIRE(peer.after_table.size() >= 2);
  const SentFrame& table = peer.after_table[1];
  REQUIRE(table.type == FrameType::table);
  CHECK(table.highest == 1);
  REQUIRE(table.table.size() == 1);
  CHECK(table.table[0].received == 5);
  CHECK(table.table[0].delivered == 3);
  CHECK(table.table[0].limit >= 5);
  CHECK(table.table[0].opened);
}

TEST_CASE("a half received DATA frame counts up to its last byte that came") {
  ScriptedPeer peer(Role::server);
  auto id = peer.open();
  Buffer frame = data_frame({StreamId{id}, 0, 0, 65536, 0}, "hello world");
  frame.resize(frame.size() - 6);
  peer.receive(frame);
  CHECK(peer.end.app(id).received == "hello");
  peer.lose_carrier();
  peer.connect(1, {{StreamId{id}, 0, 0, 65536, true}});
  CHECK(peer.after_table[1].table[0].received == 5);
  peer.receive_data(id, 5, " world");
  CHECK(peer.end.app(id).received == "hello world");
}

TEST_CASE("bytes of a carrier that was replaced are ignored") {
  ScriptedPeer peer(Role::server);
  auto id = peer.open();
  CarrierId old = peer.carrier();
  peer.connect(1, {{StreamId{id}, 0, 0, 65536, true}});
  Buffer stale = data_frame({StreamId{id}, 0, 0, 65536, 0}, "stale");
  peer.link().carrier_bytes(peer.now(), old, stale);
  Buffer nonsense(100, 0xff);
  peer.link().carrier_bytes(peer.now(), old, nonsense);
  peer.end.drain();
  CHECK(peer.end.app(id).received == "");
  CHECK(peer.link().live());
}

TEST_CASE("OPENs that were lost are sent again in order of id and before new ones") {
  ScriptedPeer peer(Role::client);
  for (std::uint64_t id = 1; id <= 3; ++id) {
    peer.end.app(id).handle = *peer.link().open(peer.now(), {0, {}, {}});
  }
  peer.transmit();
  peer.lose_carrier();
  peer.end.app(4).handle = *peer.link().open(peer.now(), {0, {}, {}});
  peer.connect(1, {{StreamId{1}, 0, 0, 65536, true}});
  std::vector<std::uint64_t> opens;
  for (const SentFrame& frame : peer.after_table) {
    if (frame.type == FrameType::open) opens.push_back(frame.id);
  }
  CHECK(opens == std::vector<std::uint64_t>{2, 3, 4});
}

TEST_CASE("an OPENED that was lost is told by the table") {
  ScriptedPeer peer(Role::client);
  peer.end.app(1).handle = *peer.link().open(peer.now(), {0, {}, {}});
  peer.transmit();
  peer.lose_carrier();
  peer.connect(1, {{StreamId{1}, 0, 0, 65536, true}});
  CHECK(peer.end.app(1).opened);
}

TEST_CASE("when only the last ack is missing a RESET or absence is quiet and names no new cause") {
  for (bool by_reset : {true, false}) {
    INFO((by_reset ? "RESET" : "absence"));
    ScriptedPeer peer(Role::server);
    auto id = peer.open();
    peer.end.write(id, "bytes");
    peer.end.finish(id);
    peer.transmit();
    peer.receive(fin_frame(id, 0));
    peer.transmit();
    if (by_reset) {
      peer.receive(reset_frame(id, Cause::admin_kill));
    } else {
      peer.lose_carrier();
      peer.connect(id, {});
    }
    CHECK_FALSE(peer.end.app(id).reset);
    REQUIRE(peer.end.app(id).ended);
    CHECK(peer.end.app(id).ended->cause == Cause::target_fin);
    CHECK(peer.end.app(id).ended->unacked_bytes == 5);
  }
}

TEST_CASE("a RESET that waits is sent after the tables") {
  ScriptedPeer peer(Role::server);
  auto id = peer.open();
  peer.lose_carrier();
  peer.end.reset(id, Cause::admin_kill);
  peer.end.drain();
  CHECK(peer.end.app(id).reset == Cause::admin_kill);
  CHECK(peer.link().stream_count() == 1);  // rule 11
  peer.connect(1, {{StreamId{id}, 0, 0, 65536, true}});
  REQUIRE(peer.after_table.size() >= 3);
  CHECK(peer.after_table[1].type == FrameType::table);
  CHECK(find_frame(peer.after_table, FrameType::reset) != nullptr);
  CHECK(peer.link().stream_count() == 0);
}

TEST_CASE("hostile tables end the link, and nothing is sized by their numbers") {
  struct Row {
    const char* name;
    bool client;
    std::uint64_t highest;
    std::vector<TableEntry> table;
  };
  const std::uint64_t huge = UINT64_MAX;
  auto one = [](std::uint64_t received, std::uint64_t delivered, std::uint64_t limit) {
    return std::vector<TableEntry>{{StreamId{1}, received, delivered, limit, true}};
  };
  const Row rows[] = {
      {"received beyond what was sent", false, 1, one(11, 0, 65536)},
      {"received absurd", false, 1, one(huge, 0, 65536)},
      {"delivered beyond received", false, 1, one(5, 6, 65536)},
      {"delivered absurd", false, 1, one(5, huge, 65536)},
      {"a limit that shrinks", false, 1, one(5, 5, 65535)},
      {"an absurd limit", false, 1, one(5, 5, huge)},
      {"received beyond what was sent", true, 1, one(11, 0, 65536)},
      {"delivered beyond received", true, 1, one(5, 6, 65536)},
      {"a limit that shrinks", true, 1, one(5, 5, 65535)},
      {"an absurd limit", true, 1, one(5, 5, huge)},
      {"ids that we never assigned", true, huge, one(5, 5, 65536)},
      {"an id that we do not hold",
       true,
       1,
       {{StreamId{1}, 5, 5, 65536, true}, {StreamId{2}, 0, 0, 1, true}}},
      {"ids out of order",
       true,
       1,
       {{StreamId{1}, 5, 5, 65536, true}, {StreamId{1}, 0, 0, 1, true}}},
      {"a stream in use forgotten", true, 0, {}},
  };
  for (const Row& row : rows) {
    INFO((row.client ? "client: " : "server: ") << row.name);
    ScriptedPeer peer(row.client ? Role::client : Role::server);
    auto id = peer.open();
    peer.end.write(id, "0123456789");
    peer.transmit();
    peer.receive_data(id, 0, "xyz", 3);
    peer.transmit();
    peer.lose_carrier();
    // The GOODBYE is looked for by violated().
    peer.hold_after_table = true;
    peer.connect(row.highest, row.table);
    CHECK(peer.violated());
    CHECK(peer.end.app(id).reset == Cause::protocol);
  }
}

TEST_CASE("a server ignores table entries of streams it does not hold, however many") {
  ScriptedPeer peer(Role::server);
  auto id = peer.open();
  peer.lose_carrier();
  std::vector<TableEntry> table;
  for (std::uint64_t i = 1; i <= 1000000; ++i)
    table.push_back({StreamId{i}, i, i, i + 65536, true});
  table[0] = {StreamId{1}, 0, 0, 65536, true};
  std::size_t blocks = peer.end.pool.arena.in_use();
  peer.connect(1000000, table);
  CHECK(peer.link().live());
  CHECK(peer.link().stream_count() == 1);
  CHECK(peer.end.pool.arena.in_use() == blocks);
  CHECK_FALSE(peer.end.app(id).reset);
}

TEST_CASE("a client refuses a table longer than its limit of streams while reading it") {
  ScriptedPeer peer(Role::client, 64 * kMiB, 100);
  peer.lose_carrier();
  peer.link().carrier_up(peer.now(), CarrierId{77}, Duration{});
  peer.transmit();
  Welcome welcome;
  welcome.verdict = Verdict::resumed;
  welcome.instance = 99;
  welcome.server = "gate";
  std::vector<TableEntry> table;
  for (std::uint64_t i = 1; i <= 1000000; ++i) table.push_back({StreamId{i}, 0, 0, 0, true});
  Buffer bytes = welcome_frame(welcome) + table_frames(1000000, table);
  std::size_t fed = 0;
  while (fed < bytes.size() && !peer.link().ended()) {
    std::size_t size = std::min<std::size_t>(4096, bytes.size() - fed);
    peer.link().carrier_bytes(peer.now(), CarrierId{77}, Bytes(bytes).subspan(fed, size));
    peer.end.drain();
    fed += size;
  }
  CHECK(peer.link().ended());
  CHECK(peer.end.ended == Cause::protocol);
  CHECK(fed < 3 * kMaxControlPayload);
}

TEST_CASE("while greeting a client takes WELCOME, its table and GOODBYE only") {
  struct Row {
    const char* name;
    Buffer bytes;
    bool ends;
  };
  Welcome good;
  good.verdict = Verdict::resumed;
  good.instance = 99;
  good.server = "gate";
  const Row rows[] = {
      {"a stream frame", fin_frame(1, 0), true},
      {"data", golden("data"), true},
      {"a table first", golden("table_empty"), true},
      {"two welcomes", welcome_frame(good) + welcome_frame(good), true},
      {"an empty chunk", welcome_frame(good) + raw_frame(6, Buffer(9, 0)), true},
      {"an optional frame", raw_frame(33, {1}), false},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    ScriptedPeer peer(Role::client);
    peer.lose_carrier();
    peer.link().carrier_up(peer.now(), CarrierId{77}, Duration{});
    peer.transmit();
    peer.link().carrier_bytes(peer.now(), CarrierId{77}, row.bytes);
    peer.end.drain();
    CHECK(peer.link().ended() == row.ends);
  }
}

TEST_CASE("a WELCOME that is not for this link leaves it as it was") {
  struct Row {
    const char* name;
    void (*change)(Welcome&);
    Cause refused;
  };
  const Row rows[] = {
      {"another server", [](Welcome& w) { w.server = "other"; }, Cause::other_server},
      {"another server that does not know it",
       [](Welcome& w) {
         w.server = "other";
         w.verdict = Verdict::unknown;
       },
       Cause::other_server},
      {"another instance", [](Welcome& w) { w.instance = 98; }, Cause::stale},
      {"no instance", [](Welcome& w) { w.instance = 0; }, Cause::stale},
      {"another version", [](Welcome& w) { w.version = 2; }, Cause::version},
      {"refused",
       [](Welcome& w) {
         w.verdict = Verdict::refused;
         w.code = Cause::limit;
       },
       Cause::limit},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    ScriptedPeer peer(Role::client);
    auto id = peer.open();
    peer.lose_carrier();
    peer.link().carrier_up(peer.now(), CarrierId{77}, Duration{});
    peer.transmit();
    Welcome welcome;
    welcome.verdict = Verdict::resumed;
    welcome.instance = 99;
    welcome.server = "gate";
    row.change(welcome);
    Buffer bytes = welcome_frame(welcome) + table_frames(0, {});
    peer.link().carrier_bytes(peer.now(), CarrierId{77}, bytes);
    peer.end.drain();
    CHECK(peer.end.refusals == std::vector<Cause>{row.refused});
    CHECK(peer.link().detached());
    CHECK(peer.link().wants_carrier());
    CHECK_FALSE(peer.end.app(id).reset);
    CHECK(peer.link().stream_count() == 1);
  }
}

TEST_CASE("an answer that comes in pieces is waited for, one that stops coming is not") {
  ScriptedPeer peer(Role::client);
  peer.open();
  peer.lose_carrier();
  peer.link().carrier_up(peer.now(), CarrierId{77}, Duration{});
  peer.transmit();
  Welcome welcome;
  welcome.verdict = Verdict::resumed;
  welcome.instance = 99;
  welcome.server = "gate";
  Buffer bytes = welcome_frame(welcome);
  // Patience is 500 ms without a measured round trip.
  for (int piece = 0; piece < 8; ++piece) {
    peer.advance(milliseconds(400));
    CHECK_FALSE(peer.link().wants_carrier());
    peer.link().carrier_bytes(peer.now(), CarrierId{77}, Bytes(bytes).subspan(piece, 1));
  }
  peer.advance(milliseconds(499));
  CHECK_FALSE(peer.link().wants_carrier());
  peer.advance(milliseconds(1));
  CHECK(peer.link().wants_carrier());
  // Beside another carrier it still has ten seconds from its last piece on.
  peer.advance(milliseconds(10'000 - 500 - 1));
  CHECK_FALSE(peer.link().detached());
  peer.advance(milliseconds(1));
  CHECK(peer.link().detached());
}

TEST_CASE("a greeting has twice the patience after each that failed, up to its timeout") {
  PathReport path;
  path.queued = 1000;
  ScriptedPeer peer(Role::client);
  peer.open();
  peer.lose_carrier();
  std::uint64_t carrier = 100;
  for (int patience_ms : {500, 1000, 2000, 4000, 8000, 10'000, 10'000}) {
    INFO(patience_ms);
    carrier += 1;
    peer.link().carrier_up(peer.now(), CarrierId{carrier}, Duration{});
    peer.transmit();
    peer.link().path_report(peer.now(), CarrierId{carrier}, path);
    path.acked += 1;  // something got through: the path is slow
    peer.link().path_report(peer.now(), CarrierId{carrier}, path);
    peer.advance(milliseconds(patience_ms) - Duration(1));
    CHECK_FALSE(peer.link().wants_carrier());
    peer.advance(Duration(1));
    CHECK(peer.link().wants_carrier());
    peer.link().carrier_down(peer.now(), CarrierId{carrier}, Cause::carrier_reset);
    peer.end.drain();
  }
}

// A relay's kernel takes it at once; the server has it much later.
TEST_CASE("a long greeting that somebody has taken is waited for longer each time as well") {
  ScriptedPeer peer(Role::client);
  for (int i = 0; i < 200; ++i) peer.open();
  peer.lose_carrier();
  std::uint64_t carrier = 100;
  for (int patience_ms : {500, 1000, 2000, 4000, 8000}) {
    INFO(patience_ms);
    carrier += 1;
    peer.link().carrier_up(peer.now(), CarrierId{carrier}, Duration{});
    peer.transmit();
    PathReport path;
    path.segment = 1448;
    path.queued = 7000;
    peer.link().path_report(peer.now(), CarrierId{carrier}, path);
    path.acked = path.queued;
    path.queued = 0;
    peer.link().path_report(peer.now(), CarrierId{carrier}, path);
    peer.advance(milliseconds(patience_ms) - Duration(1));
    CHECK_FALSE(peer.link().wants_carrier());
    peer.advance(Duration(1));
    CHECK(peer.link().wants_carrier());
    peer.link().carrier_down(peer.now(), CarrierId{carrier}, Cause::carrier_reset);
    peer.end.drain();
  }
}

TEST_CASE("a greeting of which nothing got through makes the next one no more patient") {
  PathReport path;
  path.queued = 1000;
  ScriptedPeer peer(Role::client);
  peer.open();
  peer.lose_carrier();
  for (std::uint64_t carrier = 101; carrier < 106; ++carrier) {
    peer.link().carrier_up(peer.now(), CarrierId{carrier}, Duration{});
    peer.transmit();
    peer.link().path_report(peer.now(), CarrierId{carrier}, path);
    peer.advance(milliseconds(500));
    CHECK(peer.link().wants_carrier());
    peer.link().carrier_down(peer.now(), CarrierId{carrier}, Cause::carrier_reset);
    peer.end.drain();
  }
}

TEST_CASE("the end of a carrier that is not the link's any more means nothing") {
  for (Role role : {Role::client, Role::server}) {
    ScriptedPeer peer(role);
    CarrierId old = peer.carrier();
    peer.lose_carrier();
    peer.connect();
    peer.link().carrier_down(peer.now(), old, Cause::carrier_reset);
    peer.link().carrier_down(peer.now(), CarrierId{}, Cause::carrier_reset);
    peer.end.drain();
    CHECK(peer.link().live());
    CHECK(peer.end.downs.size() == 1);
  }
}

TEST_CASE("the greeting's round trip counts where none was measured before") {
  for (Duration measured : {Duration{}, Duration(milliseconds(90))}) {
    ScriptedPeer peer(Role::client);
    peer.lose_carrier();
    peer.link().carrier_up(peer.now(), CarrierId{77}, measured);
    peer.transmit();
    peer.pass(milliseconds(300));
    Welcome welcome;
    welcome.verdict = Verdict::resumed;
    welcome.instance = 99;
    welcome.server = "gate";
    welcome.grace = seconds(300);
    Buffer bytes = welcome_frame(welcome) + table_frames(0, {});
    peer.link().carrier_bytes(peer.now(), CarrierId{77}, bytes);
    peer.end.drain();
    REQUIRE(peer.link().live());
    CHECK(peer.link().liveness().round_trip() ==
          (measured == Duration{} ? milliseconds(300) : measured));
  }
}

TEST_CASE("what was never sent outlives a link that its peer wronged") {
  ScriptedPeer peer(Role::client);
  auto sent = peer.open();
  auto handle = peer.link().open(peer.now(), {0, {}, {}});
  REQUIRE(handle.ok());
  std::uint64_t unsent = handle->id.value;
  peer.end.app(unsent).handle = *handle;
  peer.receive(data_frame({StreamId{999}, 0, 0, 65536, 0}, "of no stream"));
  CHECK(peer.violated());
  CHECK(peer.end.app(sent).reset == Cause::protocol);
  CHECK_FALSE(peer.end.app(unsent).reset);
  CHECK(peer.link().stream_count() == 1);
}

TEST_CASE("a link that ended with a GOODBYE of its own greets anew when it is renewed") {
  ScriptedPeer peer(Role::client);
  peer.receive(open_frame(1, 65536, "echo"));  // not for a client
  REQUIRE(peer.violated());
  peer.link().renew(peer.now(), LinkId{{2}});
  peer.link().carrier_up(peer.now(), CarrierId{77}, Duration{});
  auto gather = peer.link().poll_transmit(peer.now(), tuning::kMaxGather);
  REQUIRE(gather);
  CHECK_FALSE(gather->last);
  CHECK(gather->carrier == CarrierId{77});
  peer.link().written(peer.now(), gather->bytes);
  CHECK_FALSE(peer.link().ended());
}

TEST_CASE("unknown from the link's own server is final, and may say how the link ended there") {
  struct Row {
    Cause code, ended;
  };
  const Row rows[] = {
      {Cause::none, Cause::server_restarted},
      {Cause::grace_expired, Cause::grace_expired},
      {Cause::client_restarted, Cause::client_restarted},
      {Cause::admin_kill, Cause::server_restarted},  // no end of a link that a client may not know
      {Cause::other, Cause::server_restarted},
  };
  for (const Row& row : rows) {
    ScriptedPeer peer(Role::client);
    auto id = peer.open();
    peer.lose_carrier();
    peer.link().carrier_up(peer.now(), CarrierId{77}, Duration{});
    peer.transmit();
    Welcome welcome;
    welcome.verdict = Verdict::unknown;
    welcome.code = row.code;
    welcome.server = "gate";
    Buffer bytes = welcome_frame(welcome);
    peer.link().carrier_bytes(peer.now(), CarrierId{77}, bytes);
    peer.end.drain();
    CHECK(peer.end.ended == row.ended);
    CHECK(peer.end.app(id).reset == row.ended);
  }
}

TEST_CASE("attempt numbers rise with every greeting and the instance stays") {
  ScriptedPeer peer(Role::client);
  std::uint64_t last = peer.link().attempt();
  for (std::uint64_t i = 0; i < 5; ++i) {
    peer.lose_carrier();
    peer.link().carrier_up(peer.now(), CarrierId{100 + i}, Duration{});
    auto gather = peer.link().poll_transmit(peer.now(), 65536);
    REQUIRE(gather);
    Buffer bytes = ScriptedPeer::flatten(*gather);
    peer.link().written(peer.now(), gather->bytes);
    Bytes hello_payload = Bytes(bytes).subspan(kFrameHeaderSize, bytes[3] + 256u * bytes[2]);
    auto hello = decode_hello(hello_payload);
    REQUIRE(hello.ok());
    CHECK(hello->attempt > last);
    CHECK(hello->instance == 99);
    last = hello->attempt;
    peer.link().carrier_down(peer.now(), CarrierId{100 + i}, Cause::carrier_reset);
    peer.end.drain();
  }
}

TEST_CASE("a violation with GOODBYE unwritten keeps the streams that the peer never saw") {
  for (bool carrier_falls : {true, false}) {
    INFO((carrier_falls ? "the carrier falls" : "the write takes too long"));
    ScriptedPeer peer(Role::client);
    auto old = peer.open();
    peer.end.app(2).handle = *peer.link().open(peer.now(), {0, {}, {}});
    peer.receive(raw_frame(50, {}));
    if (carrier_falls) {
      peer.lose_carrier();
    } else {
      peer.pass(tuning::kGoodbyeWrite);
      peer.link().timeout(peer.now());
      peer.end.drain();
    }
    CHECK(peer.link().ended());
    CHECK(peer.end.app(old).reset == Cause::protocol);
    CHECK_FALSE(peer.end.app(2).reset);
    CHECK(peer.link().stream_count() == 1);
  }
}

}  // namespace holdfast
