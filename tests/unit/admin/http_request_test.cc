#include "common/admin/http_request.h"

#include <catch2/catch.hpp>

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
}

TEST_CASE("a request's path is what stands before its query") {
  CHECK(request_path("GET /livez HTTP/1.1\r\n") == "/livez");
  CHECK(request_path("GET /status.json?top=3 HTTP/1.1\r\n") == "/status.json");
  CHECK(request_path("GET /a#b HTTP/1.1\r\n") == "/a");
  CHECK(request_path("junk").empty());
  CHECK(request_path("").empty());
}

TEST_CASE("ranges are taken out, however they are written, and nothing else") {
  CHECK(without_ranges("GET / HTTP/1.1\r\nHost: x\r\nRange: bytes=0-,0-\r\nrAnGe :a\r\n"
                       "If-Range: b\r\nX-Range: c\r\n\r\nRange: of a body\r\n") ==
        "GET / HTTP/1.1\r\nHost: x\r\nX-Range: c\r\n\r\nRange: of a body\r\n");
  CHECK(without_ranges("GET /range: HTTP/1.1\r\n\r\n") == "GET /range: HTTP/1.1\r\n\r\n");
}

}  // namespace
}  // namespace holdfast
