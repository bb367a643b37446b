#include "common/base/id128.h"

#include <string>

#include "tests/catch.h"

namespace holdfast {

TEST_CASE("an id of 128 bits is 32 digits of base 16 and nothing else") {
  auto id = parse_id128("000102030405060708090a0b0c0d0eFf");
  REQUIRE(id);
  for (std::size_t i = 0; i < 15; ++i) CHECK((*id)[i] == i);
  CHECK((*id)[15] == 0xff);
  for (const char* text :
       {"", "0", "000102030405060708090a0b0c0d0e0", "000102030405060708090a0b0c0d0e0f0",
        "000102030405060708090a0b0c0d0e0g", "000102030405060708090a0b0c0d0e -",
        "00010203-0405-0607-0809-0a0b0c0d0e0f"}) {
    INFO(text);
    CHECK_FALSE(parse_id128(text));
  }
}

}  // namespace holdfast
