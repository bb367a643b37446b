#include "common/log/rate_limiter.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

using Admitted = std::optional<std::uint64_t>;
using Owed = std::vector<std::pair<std::string, std::uint64_t>>;

TEST_CASE("so many events of an interval pass and the next one tells of the others") {
  RateLimiter limiter(2, seconds(10));
  Time start(seconds(100));
  CHECK(limiter.admit("junk", start) == Admitted(0));
  CHECK(limiter.admit("junk", start + seconds(9)) == Admitted(0));
  CHECK(limiter.admit("junk", start + seconds(9)) == std::nullopt);
  CHECK(limiter.admit("junk", start + seconds(9)) == std::nullopt);
  CHECK(limiter.admit("junk", start + seconds(10)) == Admitted(2));
  CHECK(limiter.admit("junk", start + seconds(10)) == Admitted(0));
  CHECK(limiter.admit("junk", start + seconds(10)) == std::nullopt);
}

TEST_CASE("kinds of events are limited apart") {
  RateLimiter limiter(1, seconds(10));
  CHECK(limiter.admit("a", Time{}) == Admitted(0));
  CHECK(limiter.admit("a", Time{}) == std::nullopt);
  CHECK(limiter.admit("b", Time{}) == Admitted(0));
}

TEST_CASE("counts that no event told are handed out once the interval is over") {
  RateLimiter limiter(1, seconds(10));
  for (int i = 0; i < 5; ++i) static_cast<void>(limiter.admit("junk", Time{}));
  CHECK(limiter.take_suppressed(Time(seconds(9))).empty());
  CHECK(limiter.take_suppressed(Time(seconds(10))) == Owed{{"junk", 4}});
  CHECK(limiter.take_suppressed(Time(seconds(10))).empty());
  CHECK(limiter.admit("junk", Time(seconds(10))) == Admitted(0));
}

}  // namespace
}  // namespace holdfast
