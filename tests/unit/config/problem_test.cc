#include "common/config/problem.h"

#include <nlohmann/json.hpp>

#include "tests/catch.h"

namespace holdfast {
namespace {

const Problem kError = {"a.toml", 3, "link.grace", Severity::error, "no unit", "write \"30s\""};
const Problem kWarning = {"a.toml", 1, "link", Severity::warning, "careful", ""};
const Problem kSecret = {"a.toml",    2,  "link.psk_file",        Severity::error,
                         "mode 0644", "", ProblemKind::permission};

TEST_CASE("a problem is one line of file, line, key, reason and hint") {
  CHECK(format_problem(kError) == "a.toml:3: link.grace: no unit (write \"30s\")");
  CHECK(format_problem(kWarning) == "a.toml:1: link: warning: careful");
  CHECK(format_problem({"a.toml", 2, "", Severity::error, "bad", ""}) == "a.toml:2: bad");
  CHECK(format_problem({"a.toml", 0, "", Severity::error, "gone", ""}) == "a.toml: gone");
}

TEST_CASE("control characters from a file reach no terminal") {
  CHECK(format_problem({"a", 1, "\x1b[2J\n", Severity::error, "x", ""}) == "a:1: \\x1b[2J\\x0a: x");
}

TEST_CASE("errors come before warnings and both in the order of the file") {
  CHECK(format_problems({kWarning, kError, kSecret}) == format_problem(kSecret) + "\n" +
                                                            format_problem(kError) + "\n" +
                                                            format_problem(kWarning) + "\n");
}

TEST_CASE("the exit code tells config mistakes from exposed secrets") {
  CHECK(exit_code({}) == 0);
  CHECK(exit_code({kWarning}) == 0);
  CHECK(exit_code({kWarning, kSecret}) == 77);
  CHECK(exit_code({kSecret, kError}) == 78);
  CHECK(exit_code({kError}) == 78);
}

TEST_CASE("problems are written as JSON, whatever bytes they hold") {
  Problem odd = kSecret;
  odd.reason = "\xff\x1b";
  const auto json = nlohmann::json::parse(problems_to_json({kWarning, odd}));
  REQUIRE(json.size() == 2);
  CHECK(json[0]["severity"] == "error");
  CHECK(json[0]["kind"] == "permission");
  CHECK(json[0]["line"] == 2);
  CHECK(json[0]["key"] == "link.psk_file");
  CHECK(json[1]["severity"] == "warning");
  CHECK(json[1]["kind"] == "config");
  CHECK(json[1]["file"] == "a.toml");
  CHECK(json[1]["reason"] == "careful");
  CHECK(json[1]["hint"] == "");
  CHECK(problems_to_json({}) == "[]");
}

}  // namespace
}  // namespace holdfast
