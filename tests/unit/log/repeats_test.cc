#include "common/log/repeats.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

using Told = std::optional<std::uint64_t>;

TEST_CASE("the first of equal lines is told at once and the others once a minute, counted") {
  Repeats repeats;
  Time start(seconds(100));
  CHECK(repeats.admit("refused", start) == Told(1));
  CHECK(repeats.admit("refused", start + seconds(1)) == std::nullopt);
  CHECK(repeats.admit("refused", start + seconds(59)) == std::nullopt);
  CHECK(repeats.admit("reset", start + seconds(59)) == Told(1));
  CHECK(repeats.admit("refused", start + seconds(60)) == Told(3));
  CHECK(repeats.admit("refused", start + seconds(61)) == std::nullopt);
  CHECK(repeats.admit("refused", start + seconds(3600)) == Told(2));
}

TEST_CASE("of more lines than are kept the one that was told longest ago is told anew") {
  Repeats repeats;
  for (int i = 0; i < 65; ++i) {
    CHECK(repeats.admit("line " + std::to_string(i), Time(milliseconds(i))) == Told(1));
  }
  CHECK(repeats.admit("line 64", Time(seconds(1))) == std::nullopt);
  CHECK(repeats.admit("line 0", Time(seconds(1))) == Told(1));
}

}  // namespace
}  // namespace holdfast
