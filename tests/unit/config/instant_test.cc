#include "common/config/instant.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

TEST_CASE("an instant is a day or a moment, in UTC, and is written back so") {
  CHECK(parse_instant("1970-01-01")->epoch_s == 0);
  CHECK(parse_instant("2026-12-31")->epoch_s == 1798675200);
  CHECK(parse_instant("2026-12-31T18:00:01Z")->epoch_s == 1798675200 + 18 * 3600 + 1);
  CHECK(parse_instant("2040-01-01")->epoch_s == 2208988800);  // beyond 32 bits
  for (const char* text : {"2026-12-31", "2028-02-29", "2040-01-01", "2026-12-31T18:00:01Z"}) {
    CHECK(to_string(*parse_instant(text)) == text);
  }
  CHECK(to_string(*parse_instant("2026-12-31T00:00:00Z")) == "2026-12-31");
}

TEST_CASE("what is no day is refused, with how to write one") {
  for (const char* text : {"", "2026-02-31", "2026-13-01", "2027-02-29", "26-12-31",
                           "2026-12-31 18:00", "2026-12-31T25:00:00Z", "2026-12-31T23:59:60Z",
                           "2026-00-31", "2026-12-31T18:00:00", "2026/12/31", "tomorrow"}) {
    Result<Instant> read = parse_instant(text);
    INFO(text);
    CHECK_FALSE(read.ok());
    if (!read) CHECK(read.error().message.find("2026-12-31T18:00:00Z") != std::string::npos);
  }
}

}  // namespace
}  // namespace holdfast
