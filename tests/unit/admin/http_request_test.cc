#include "common/admin/http_request.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

TEST_CASE("a request ends after its empty line and its body") {
  CHECK_FALSE(request_size(""));
  CHECK_FALSE(request_size("GET / HTTP/1.1\r\nHost: x\r\n"));
  CHECK_FALSE(request_size("\r\n"));  // an empty line before the first is none after a head
  CHECK(request_size("GET / HTTP/1.1\r\n\r\n") == 18);
  CHECK(request_size("GET / HTTP/1.1\n\nmore") == 16);
  CHECK(request_size("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n") == 43);
  CHECK(request_size("POST / HTTP/1.1\r\ncontent-LENGTH :3\r\n\r\nabc") == 41);
}

TEST_CASE("a length that is none is no body, and one without end does not wrap") {
  CHECK(request_size("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n") == 39);
  CHECK(request_size("POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n") ==
        SIZE_MAX);
  CHECK(request_size("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n") ==
        SIZE_MAX);
}

TEST_CASE("a request's path is what stands before its query") {
  CHECK(request_path("GET /livez HTTP/1.1\r\n") == "/livez");
  CHECK(request_path("GET /status.json?top=3 HTTP/1.1\r\n") == "/status.json");
  CHECK(request_path("GET /a#b HTTP/1.1\r\n") == "/a");
  CHECK(request_path("junk").empty());
  CHECK(request_path("").empty());
}

TEST_CASE("escapes are read, and what is none stays") {
  CHECK(percent_decoded("a%20b%2Fc%ff") == "a b/c\xff");
  CHECK(percent_decoded("%zz%4%") == "%zz%4%");
  CHECK(percent_decoded("%-1%+1% 1") == "%-1%+1% 1");
  CHECK(percent_decoded(std::string("%00", 3)) == std::string(1, '\0'));
  CHECK(percent_decoded("").empty());
}

TEST_CASE("a query's parts are parameters, the first of a name") {
  HttpParameters parameters;
  add_parameters("id=a%26b&x=1+2&&=nameless&flag&x=3&y==&", parameters);
  CHECK(parameters == HttpParameters{{"id", "a&b"}, {"x", "1 2"}, {"flag", ""}, {"y", "="}});
  add_parameters("", parameters);
  CHECK(parameters.size() == 4);
}

}  // namespace
}  // namespace holdfast
