// Which loop has which client's links, and what is counted over all loops.
#include "server-agent/placement.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

TEST_CASE("A server's loop keeps a client's slot while anything of it is there") {
  ServerCommons commons(2, 100);
  auto first = commons.place("edge", 0);
  CHECK(first.loop() == 1);  // the first loop has enough to do
  auto second = commons.place("edge", 5);
  CHECK(second.loop() == 0);
  {
    auto again = std::make_unique<ServerCommons::Place>(commons.place("edge", 0));
    CHECK(again->loop() == 1);
  }
  CHECK(commons.place("edge", 0).loop() == 1);
  // Others' links count only among equals.
  auto other = commons.place("far", 0);
  CHECK(other.loop() == 1);
  auto third = commons.place("edge", 6);
  CHECK(third.loop() == 0);
  ServerCommons::Place moved = std::move(other);
  CHECK(moved.loop() == 1);
}

TEST_CASE("A slot that nobody holds is placed anew") {
  ServerCommons commons(2, 100);
  auto held = commons.place("edge", 1);
  CHECK(held.loop() == 1);
  CHECK(commons.place("edge", 2).loop() == 0);  // and let go
  auto next = commons.place("edge", 3);
  CHECK(next.loop() == 0);
  CHECK(commons.place("edge", 2).loop() == 1);
}

TEST_CASE("A client's links are counted over all loops") {
  ServerCommons commons(2, 100);
  CHECK(commons.take("edge", 0, 2));
  CHECK(commons.take("edge", 16, 2));
  CHECK_FALSE(commons.take("edge", 32, 2));
  CHECK(commons.take("far", 0, 1));
  commons.give_back("edge", 0);
  CHECK(commons.take("edge", 32, 2));
}

TEST_CASE("The lanes of a link are counted as one, until the last is gone") {
  ServerCommons commons(2, 100);
  CHECK(commons.take("edge", 16, 1));
  CHECK(commons.take("edge", 17, 1));
  CHECK(commons.take("edge", 31, 1));
  CHECK_FALSE(commons.take("edge", 32, 1));
  commons.give_back("edge", 16);
  commons.give_back("edge", 31);
  CHECK_FALSE(commons.take("edge", 0, 1));
  commons.give_back("edge", 17);
  CHECK(commons.take("edge", 0, 1));
}

TEST_CASE("A source is known while a link of it is") {
  ServerCommons commons(1, 100);
  LinkId id;
  id.bytes[0] = 1;
  commons.note_source(id, "192.0.2.1");
  CHECK(commons.known_at("192.0.2.1"));
  commons.note_source(id, "192.0.2.2");
  CHECK_FALSE(commons.known_at("192.0.2.1"));
  commons.forget(id);
  CHECK_FALSE(commons.known_at("192.0.2.2"));
}

}  // namespace
}  // namespace holdfast
