#include "common/io/health_check.h"

#include <string>

#include "tests/catch.h"

namespace holdfast {
namespace {

Bytes bytes(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

const std::string kTlsHello("\x16\x03\x01\x02\x00\x01", 6);

}  // namespace

TEST_CASE("What balancers ask a port with is no client's") {
  for (const std::string& check :
       {std::string(), std::string("GET / HTTP/1.0\r\n\r\n"), std::string("OPTIONS * HTTP/1.0\r\n"),
        std::string("HEAD /"), std::string("\x16\x03\x00\x00\x6b\x01", 6),
        std::string("\x80\x2e\x01\x00\x02", 5)}) {
    INFO(check);
    CHECK(begins_like_a_check(bytes(check)));
    CHECK(is_check_without_header(bytes(check)));
  }
}

TEST_CASE("A hello may be a client's, but not where a PROXY header should stand") {
  CHECK_FALSE(begins_like_a_check(bytes(kTlsHello)));
  CHECK(is_check_without_header(bytes(kTlsHello)));
}

TEST_CASE("What a client without TLS says, and a PROXY header, are no checks") {
  for (const std::string& other :
       {std::string("\x02\x00\x00\x5eHFST", 8), std::string("PROXY TCP4 "), std::string("\r\n\r\n"),
        std::string("GET"), std::string("\x16", 1), std::string("x")}) {
    INFO(other);
    CHECK_FALSE(begins_like_a_check(bytes(other)));
    CHECK_FALSE(is_check_without_header(bytes(other)));
  }
}

}  // namespace holdfast
