#include "common/core/segment_limit.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

Time at_s(std::int64_t s) {
  return Time(seconds(s));
}

}  // namespace

TEST_CASE("after a barren carrier segments are small, later larger, and at last as they were") {
  SegmentLimit limit;
  CHECK(limit.for_dial(at_s(0)) == 0);
  limit.barren(at_s(10));
  CHECK(limit.for_dial(at_s(11)) == 536);
  limit.stands();
  CHECK(limit.for_dial(at_s(600)) == 536);
  CHECK(limit.for_dial(at_s(611)) == 1200);
  CHECK(limit.for_dial(at_s(1200)) == 1200);
  CHECK(limit.for_dial(at_s(1300)) == 0);
}

TEST_CASE("a larger limit that is barren leads back, for twice as long") {
  SegmentLimit limit;
  limit.barren(at_s(0));
  limit.stands();
  CHECK(limit.for_dial(at_s(601)) == 1200);
  limit.barren(at_s(602));
  CHECK(limit.for_dial(at_s(602)) == 536);
  limit.stands();
  CHECK(limit.for_dial(at_s(1800)) == 536);
  CHECK(limit.for_dial(at_s(1803)) == 1200);
}

TEST_CASE("where no dial stands for seconds it was an outage, and nothing is limited") {
  SegmentLimit limit;
  limit.barren(at_s(0));
  CHECK(limit.for_dial(at_s(5)) == 536);
  CHECK(limit.for_dial(at_s(6)) == 0);
  CHECK(limit.for_dial(at_s(7)) == 0);
}

}  // namespace holdfast
