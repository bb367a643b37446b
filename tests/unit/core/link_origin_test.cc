// ORIGIN: the mark of a stream's connection, told once, and to who wants it.
#include "tests/catch.h"
#include "tests/unit/core/scripted_peer.h"

namespace holdfast {

using namespace test;

namespace {

using Origins = std::map<std::uint64_t, std::vector<std::uint64_t>>;

LinkPair::Options marking() {
  LinkPair::Options options;
  options.mark_key = {1, 2, 3};
  return options;
}

void connect(LinkPair& pair, std::uint64_t id, std::uint64_t mark) {
  Link& server = pair.link_of_server();
  server.opened(pair.now(), pair.server.app(id).handle);
  server.tell_origin(pair.now(), pair.server.app(id).handle, mark);
}

TEST_CASE("a server tells the mark of a stream's connection with OPENED") {
  LinkPair pair(marking());
  pair.server.connects = false;
  pair.settle();
  CHECK(pair.link_of_server().options().mark_key == MarkKey{1, 2, 3});
  CHECK(pair.client.link->options().mark_key == MarkKey{1, 2, 3});
  auto one = pair.open();
  auto two = pair.open();
  auto none = pair.open();
  pair.settle();
  connect(pair, one, 99);
  connect(pair, two, 7);
  pair.link_of_server().opened(pair.now(), pair.server.app(none).handle);
  pair.settle();
  CHECK(pair.client.origins == Origins{{one, {99}}, {two, {7}}});
  for (auto id : {one, two, none}) CHECK(pair.client.app(id).opened);
  // Nothing is told later, or twice.
  pair.link_of_server().tell_origin(pair.now(), pair.server.app(none).handle, 5);
  pair.cut();
  pair.run_for(seconds(2));
  CHECK(pair.client.link->live());
  CHECK(pair.client.origins.size() == 2);
}

TEST_CASE("a mark that was not told when its carrier was lost is not told on the next one") {
  LinkPair pair(marking());
  pair.server.connects = false;
  pair.settle();
  auto id = pair.open();
  pair.settle();
  pair.silent_to_client = true;
  connect(pair, id, 99);
  pair.settle();
  pair.silent_to_client = false;
  pair.cut();
  pair.run_for(seconds(2));
  CHECK(pair.client.link->live());
  CHECK(pair.client.origins.empty());
  pair.client.write(id, "goes on");
  pair.settle();
  CHECK(pair.server.app(id).received == "goes on");
}

TEST_CASE("a client that gave no key is told no mark, and takes none") {
  LinkPair pair;
  pair.server.connects = false;
  pair.settle();
  auto id = pair.open();
  pair.settle();
  CHECK(pair.link_of_server().options().mark_key == MarkKey{});
  std::uint64_t before = pair.wire_bytes_to_client;
  connect(pair, id, 99);
  pair.settle();
  CHECK(pair.client.app(id).opened);
  CHECK(pair.client.origins.empty());
  CHECK(pair.wire_bytes_to_client == before + 12);  // OPENED alone

  ScriptedPeer peer(ScriptedPeer::Role::client);
  auto stream = peer.open();
  peer.receive(origin_frame(stream, 99));
  CHECK(peer.end.origins.empty());
  CHECK(peer.link().live());
}

TEST_CASE("a client is told of the first mark of an open stream, and of no other") {
  ScriptedPeer peer(ScriptedPeer::Role::client, 64 * kMiB, 1000, MarkKey{5});
  auto stream = peer.open();
  peer.receive(origin_frame(stream, 99));
  peer.receive(origin_frame(stream, 100));
  CHECK(peer.end.origins == Origins{{stream, {99}}});
  // Of one that is not open yet, or was reset, it says nothing; of none that can be, too much.
  auto opening = peer.link().open(peer.now(), {0, {}, {}});
  REQUIRE(opening.ok());
  peer.end.app(opening->id.value).handle = *opening;
  (void)peer.transmit();
  peer.receive(origin_frame(opening->id.value, 3));
  peer.end.reset(opening->id.value, Cause::admin_kill);
  peer.receive(origin_frame(opening->id.value, 3));
  CHECK(peer.end.origins.size() == 1);
  CHECK(peer.link().live());
  peer.receive(origin_frame(opening->id.value + 1, 4));
  CHECK(peer.violated());
}

TEST_CASE("a server is told no marks") {
  ScriptedPeer peer(ScriptedPeer::Role::server);
  peer.receive(origin_frame(peer.open(), 3));
  CHECK(peer.violated());
}

}  // namespace
}  // namespace holdfast
