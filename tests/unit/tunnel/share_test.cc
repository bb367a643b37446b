#include "common/tunnel/share.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

TEST_CASE("What is counted is shared out whole, and nobody gets nothing") {
  CHECK(part_of(10, 1, 0) == 10);
  CHECK((part_of(10, 3, 0) == 4 && part_of(10, 3, 1) == 3 && part_of(10, 3, 2) == 3));
  CHECK(part_of(1, 2, 1) == 1);
}

}  // namespace
}  // namespace holdfast
