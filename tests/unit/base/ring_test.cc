#include "common/base/ring.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

TEST_CASE("a ring that is not full keeps everything in order") {
  Ring<int> ring(3);
  CHECK(ring.empty());
  ring.push(1);
  ring.push(2);
  REQUIRE(ring.size() == 2);
  CHECK(ring[0] == 1);
  CHECK(ring.back() == 2);
}

TEST_CASE("a full ring drops the oldest, as often as it wraps") {
  Ring<int> ring(3);
  for (int i = 1; i <= 100; ++i) ring.push(i);
  REQUIRE(ring.size() == 3);
  CHECK(ring[0] == 98);
  CHECK(ring[1] == 99);
  CHECK(ring[2] == 100);
  CHECK(ring.back() == 100);
}

}  // namespace
}  // namespace holdfast
