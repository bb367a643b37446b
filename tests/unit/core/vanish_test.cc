// A host that is gone: as a reset, but both agents know why.
#include "tests/catch.h"
#include "tests/unit/core/link_pair.h"

namespace holdfast {

using namespace test;

TEST_CASE("a vanished application's bytes arrive before its reset, and both ends name it") {
  LinkPair pair;
  auto id = pair.open();
  pair.run_for(seconds(1));
  pair.client.write(id, std::string(50000, 'y'));
  pair.client.link->vanish(pair.client.now, pair.client.app(id).handle);
  pair.run_for(seconds(1));
  CHECK(pair.server.app(id).received.size() == 50000);
  CHECK(pair.server.app(id).abort_seen);
  REQUIRE(pair.server.app(id).ended);
  CHECK(pair.server.app(id).ended->cause == Cause::client_vanished);
  CHECK(pair.client.app(id).ended->cause == Cause::client_vanished);
  CHECK(pair.client.link->stream_count() == 0);
  CHECK(pair.server.link->stream_count() == 0);
}

TEST_CASE("a vanished target is named so at the client, also after an outage") {
  LinkPair pair;
  auto id = pair.open();
  pair.run_for(seconds(1));
  pair.reachable = false;
  pair.cut();
  pair.server.write(id, "tail");
  pair.server.link->vanish(pair.server.now, pair.server.app(id).handle);
  pair.run_for(seconds(20));
  pair.reachable = true;
  pair.run_for(seconds(5));
  CHECK(pair.client.app(id).received == "tail");
  REQUIRE(pair.client.app(id).ended);
  CHECK(pair.client.app(id).ended->cause == Cause::target_vanished);
}

TEST_CASE("an application's reset is told as one") {
  LinkPair pair;
  auto id = pair.open();
  pair.run_for(seconds(1));
  pair.client.abort(id);
  pair.run_for(seconds(1));
  REQUIRE(pair.server.app(id).ended);
  CHECK(pair.server.app(id).ended->cause == Cause::client_rst);
}

}  // namespace holdfast
