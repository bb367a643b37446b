#include "common/config/units.h"

#include <utility>
#include <vector>

#include "tests/catch.h"

namespace holdfast {
namespace {

TEST_CASE("durations are read in each of their units") {
  CHECK(*parse_duration("200ms") == Duration(milliseconds(200)));
  CHECK(*parse_duration("30s") == Duration(seconds(30)));
  CHECK(*parse_duration("5m") == Duration(seconds(300)));
  CHECK(*parse_duration("1h") == Duration(seconds(3600)));
  CHECK(*parse_duration("7d") == Duration(seconds(7 * 86400)));
  CHECK(*parse_duration("0s") == Duration(0));
}

TEST_CASE("sizes are read in each of their units") {
  CHECK(*parse_size("512B") == 512);
  CHECK(*parse_size("64KiB") == 65536);
  CHECK(*parse_size("256MiB") == 268435456);
  CHECK(*parse_size("1GiB") == 1073741824);
  CHECK(*parse_size("2TiB") == 2199023255552);
}

TEST_CASE("a wrong duration says what is wrong and how to write it") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"30", "\"30\" has no unit; write \"30s\""},
      {"", "is not a duration; write a whole number and a unit (ms, s, m, h or d)"},
      {"s", "is not a duration"},
      {"-5s", "is not a duration"},
      {"+5s", "is not a duration"},
      {" 5s", "is not a duration"},
      {"1.5s", "is not a whole number; use a smaller unit"},
      {"5 s", "has a space before its unit"},
      {"5 ", "has a space before its unit"},
      {"5sec", "unknown unit \"sec\"; write \"5s\""},
      {"5S", "unknown unit \"S\"; write \"5s\""},
      {"5min", "write \"5m\""},
      {"5w", "unknown unit \"w\"; use ms, s, m, h or d"},
      {"5MiB", "unknown unit \"MiB\"; use ms"},
      {"1m30s", "unknown unit \"m30s\""},
      {"99999999999999999999s", "is too large"},
      {"9999999999999999d", "is too large"},
  };
  for (const auto& [text, reason] : cases) {
    INFO(text);
    const Result<Duration> parsed = parse_duration(text);
    REQUIRE_FALSE(parsed.ok());
    CHECK_THAT(parsed.error().message, ContainsSubstring(reason));
  }
}

TEST_CASE("decimal units of size are refused with the binary ones as a hint") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"64MB", "unknown unit \"MB\"; write \"64MiB\""},
      {"64M", "write \"64MiB\""},
      {"64kB", "write \"64KiB\""},
      {"1G", "write \"1GiB\""},
      {"64mib", "write \"64MiB\""},
      {"64", "has no unit; write \"64MiB\""},
      {"64XB", "use B, KiB, MiB, GiB or TiB"},
      {"99999999999TiB", "is too large"},
  };
  for (const auto& [text, reason] : cases) {
    INFO(text);
    const Result<std::uint64_t> parsed = parse_size(text);
    REQUIRE_FALSE(parsed.ok());
    CHECK_THAT(parsed.error().message, ContainsSubstring(reason));
  }
}

TEST_CASE("values are written in the largest unit that divides them and read back alike") {
  CHECK(format_duration(milliseconds(1500)) == "1500ms");
  CHECK(format_duration(seconds(90)) == "90s");
  CHECK(format_duration(seconds(300)) == "5m");
  CHECK(format_duration(seconds(86400)) == "1d");
  CHECK(format_duration(Duration(0)) == "0ms");
  CHECK(format_size(1536) == "1536B");
  CHECK(format_size(16 << 20) == "16MiB");
  for (const char* text : {"1ms", "59s", "61m", "23h", "7d"}) {
    CHECK(format_duration(*parse_duration(text)) == text);
  }
}

}  // namespace
}  // namespace holdfast
