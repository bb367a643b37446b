#include "common/base/descriptors.h"

#include <unistd.h>

#include <algorithm>

#include "tests/catch.h"

namespace holdfast {

TEST_CASE("what is open is listed in order, without what the looking itself opens") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  std::vector<int> open = open_descriptors();
  CHECK(std::is_sorted(open.begin(), open.end()));
  for (int end : ends) CHECK(std::count(open.begin(), open.end(), end) == 1);
  close(ends[0]);
  close(ends[1]);
  std::vector<int> fewer = open_descriptors();
  CHECK(fewer.size() + 2 == open.size());
  for (int each : fewer) CHECK(std::count(open.begin(), open.end(), each) == 1);
}

}  // namespace holdfast
