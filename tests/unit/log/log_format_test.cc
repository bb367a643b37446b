#include "common/log/log_format.h"

#include <cmath>
#include <limits>

#include "tests/catch.h"

namespace holdfast {
namespace {

constexpr std::int64_t kAt_us = 1767225600000250;

template <typename Format>
auto formatted(Format format, std::vector<LogField> fields, std::uint64_t suppressed = 0) {
  return format(LogRecord{LogLevel::info, kAt_us, "link_up", fields, suppressed});
}
std::string text(std::vector<LogField> fields) {
  return formatted(format_text, std::move(fields));
}
std::string json(std::vector<LogField> fields) {
  return formatted(format_json, std::move(fields));
}

const std::string kHead = "2026-01-01T00:00:00.000250Z info event=link_up";
const std::string kJsonHead =
    R"({"time":"2026-01-01T00:00:00.000250Z","level":"info","event":"link_up")";

TEST_CASE("a line of text has time, level, event and fields") {
  CHECK(text({}) == kHead);
  CHECK(text({{"peer", "home"}, {"n", 3}, {"m", std::uint64_t{18446744073709551615U}}}) ==
        kHead + " peer=home n=3 m=18446744073709551615");
}

TEST_CASE("values of every type are written plainly") {
  CHECK(text({{"a", -1}, {"b", true}, {"c", false}, {"d", 1.5}, {"e", 2.0}}) ==
        kHead + " a=-1 b=true c=false d=1.5 e=2");
  CHECK(text({{"duration_s", Duration(1250)}}) == kHead + " duration_s=0.00125");
  CHECK(text({{"zero_s", Duration(0)}}) == kHead + " zero_s=0");
}

TEST_CASE("text is quoted where logfmt needs it") {
  CHECK(text({{"a", ""}}) == kHead + R"( a="")");
  CHECK(text({{"a", "two words"}}) == kHead + R"( a="two words")");
  CHECK(text({{"a", "x=y"}}) == kHead + R"( a="x=y")");
  CHECK(text({{"a", "say \"hi\""}}) == kHead + R"( a="say \"hi\"")");
  CHECK(text({{"a", "back\\slash"}}) == kHead + R"( a="back\\slash")");
}

TEST_CASE("a value cannot begin a line or a field of its own") {
  std::string line = text({{"name", "x\n2026 error event=fake"}});
  CHECK(line == kHead + R"( name="x\n2026 error event=fake")");
  CHECK(text({{"name", "\xe2\x80\xa8"}}) == kHead + R"( name="\u2028")");
  CHECK(text({{"name", "\xff"}}) == kHead + R"( name="\xff")");
}

TEST_CASE("a line of JSON is one object with typed values") {
  CHECK(json({{"a", "x\"\n"}, {"b", 3}, {"c", true}, {"d", 0.5}}) ==
        kJsonHead + R"(,"a":"x\"\n","b":3,"c":true,"d":0.5})");
  CHECK(json({{"d", std::nan("")}, {"e", std::numeric_limits<double>::infinity()}}) ==
        kJsonHead + R"(,"d":null,"e":null})");
}

TEST_CASE("suppressed events are told") {
  CHECK(formatted(format_text, {}, 12) == kHead + " suppressed=12");
  CHECK(formatted(format_json, {}, 12) == kJsonHead + R"(,"suppressed":12})");
}

TEST_CASE("the journal gets a field for each") {
  std::vector<LogField> fields = {{"bytes_up", 5u}, {"peer", std::string_view("a\nb\0c", 5)}};
  LogRecord record{LogLevel::warn, kAt_us, "link_down", fields, 0};
  CHECK(journal_fields(record, "holdfast-client") ==
        std::vector<std::string>{R"(MESSAGE=event=link_down bytes_up=5 peer="a\nb\x00c")",
                                 "PRIORITY=4", "SYSLOG_IDENTIFIER=holdfast-client",
                                 "HOLDFAST_EVENT=link_down", "HOLDFAST_BYTES_UP=5",
                                 "HOLDFAST_PEER=a\\nb\\x00c"});
}

}  // namespace
}  // namespace holdfast
