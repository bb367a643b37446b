// Which loop has which client's links, and what is counted over all loops.
#include "server-agent/placement.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

TEST_CASE("A server's loop keeps a client's slot while anything of it is there") {
  Placement placement(2, 100);
  auto first = placement.claim("edge", 0);
  CHECK(first.loop() == 1);  // the first loop has enough to do
  auto second = placement.claim("edge", 5);
  CHECK(second.loop() == 0);
  {
    auto again = std::make_unique<Placement::Claim>(placement.claim("edge", 0));
    CHECK(again->loop() == 1);
  }
  CHECK(placement.claim("edge", 0).loop() == 1);
  // Others' links count only among equals.
  auto other = placement.claim("far", 0);
  CHECK(other.loop() == 1);
  auto third = placement.claim("edge", 6);
  CHECK(third.loop() == 0);
  Placement::Claim moved = std::move(other);
  CHECK(moved.loop() == 1);
}

TEST_CASE("A slot that nobody holds is placed anew") {
  Placement placement(2, 100);
  auto held = placement.claim("edge", 1);
  CHECK(held.loop() == 1);
  CHECK(placement.claim("edge", 2).loop() == 0);  // and let go
  auto next = placement.claim("edge", 3);
  CHECK(next.loop() == 0);
  CHECK(placement.claim("edge", 2).loop() == 1);
}

TEST_CASE("A client's links are counted over all loops") {
  Placement placement(2, 100);
  CHECK(placement.take("edge", 0, 2));
  CHECK(placement.take("edge", 16, 2));
  CHECK_FALSE(placement.take("edge", 32, 2));
  CHECK(placement.take("far", 0, 1));
  placement.give_back("edge", 0);
  CHECK(placement.take("edge", 32, 2));
}

TEST_CASE("The lanes of a link are counted as one, until the last is gone") {
  Placement placement(2, 100);
  CHECK(placement.take("edge", 16, 1));
  CHECK(placement.take("edge", 17, 1));
  CHECK(placement.take("edge", 31, 1));
  CHECK_FALSE(placement.take("edge", 32, 1));
  placement.give_back("edge", 16);
  placement.give_back("edge", 31);
  CHECK_FALSE(placement.take("edge", 0, 1));
  placement.give_back("edge", 17);
  CHECK(placement.take("edge", 0, 1));
}

TEST_CASE("A source is known while a link of it is") {
  Placement placement(1, 100);
  LinkId id;
  id.bytes[0] = 1;
  placement.note_source(id, "192.0.2.1");
  CHECK(placement.known_at("192.0.2.1"));
  placement.note_source(id, "192.0.2.2");
  CHECK_FALSE(placement.known_at("192.0.2.1"));
  placement.forget(id);
  CHECK_FALSE(placement.known_at("192.0.2.2"));
}

}  // namespace
}  // namespace holdfast
