// Rule 9's patience with an ABORT, and outages.
#include "tests/catch.h"
#include "tests/unit/core/link_pair.h"

namespace holdfast {

using namespace test;

TEST_CASE(
    "an ABORT waits for its carrier however long that is away, and the bytes before it arrive") {
  for (Duration outage : {seconds(5), seconds(36), seconds(150)}) {
    for (bool noticed : {false, true}) {
      LinkPair pair;
      auto id = pair.open();
      pair.run_for(seconds(1));
      pair.reachable = false;
      if (noticed) {
        pair.cut();
        pair.run_for(outage / 2);
      } else {
        pair.silent_to_server = true;
      }
      pair.client.write(id, std::string(50000, 'y'));
      pair.client.abort(id);
      pair.run_for(milliseconds(100));
      if (!noticed) pair.cut();
      pair.run_for(outage);
      pair.silent_to_server = false;
      pair.reachable = true;
      pair.run_for(seconds(2));
      INFO(outage.count() << " " << noticed);
      CHECK(pair.server.app(id).received.size() == 50000);
      CHECK(pair.server.app(id).abort_seen);
    }
  }
}

TEST_CASE("the time before a link's first carrier does not count for an ABORT") {
  LinkPair pair;
  pair.reachable = false;
  auto id = pair.open();
  pair.client.write(id, "bytes");
  pair.client.abort(id);
  pair.run_for(seconds(29));  // open_timeout has not come
  pair.server.connects = false;
  pair.reachable = true;
  pair.run_for(seconds(20));
  CHECK(pair.client.link->stream_count() == 1);
  pair.run_for(seconds(20));
  CHECK(pair.client.link->stream_count() == 0);
}

TEST_CASE("with a carrier an ABORT that makes no progress still ends after its time") {
  LinkPair pair;
  auto id = pair.open();
  pair.run_for(seconds(1));
  pair.server.takes_ends = false;
  pair.reachable = false;
  pair.cut();
  pair.client.write(id, "bytes");
  pair.client.abort(id);
  pair.run_for(seconds(60));
  pair.reachable = true;
  pair.run_for(seconds(29));
  CHECK(pair.client.link->stream_count() == 1);
  pair.run_for(seconds(60));
  CHECK(pair.client.link->stream_count() == 0);
}

}  // namespace holdfast
