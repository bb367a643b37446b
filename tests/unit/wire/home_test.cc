#include "common/wire/home.h"

#include "common/wire/frames.h"
#include "tests/catch.h"

namespace holdfast {

TEST_CASE("A home's address is a name or an IP address, and a port") {
  CHECK(parse_home_address("hub-1.example:7443") == HomeAddress{"hub-1.example", 7443});
  CHECK(parse_home_address("192.0.2.1:1") == HomeAddress{"192.0.2.1", 1});
  CHECK(parse_home_address("[2001:db8::1]:65535") == HomeAddress{"2001:db8::1", 65535});
}

TEST_CASE("What is no home's address is none") {
  for (const char* bad : {"", "hub-1", "hub-1:", ":7443", "hub-1:0", "hub-1:65536", "hub-1:7443 ",
                          "hub 1:7443", "2001:db8::1:7443", "[192.0.2.1]:7443", "[]:1", "[hub]:1",
                          "1.2.3:7443", "hub-1:+1", "hub\n1:7443"}) {
    INFO(bad);
    CHECK_FALSE(parse_home_address(bad));
  }
  CHECK_FALSE(parse_home_address(std::string(250, 'a') + ".example.org:7443"));
}

TEST_CASE("A home that is not well formed is as if none were told") {
  Welcome told;
  told.server = "hub-1";
  told.home = {"192.0.2.1", "hub-1"};
  Buffer bytes;
  encode_welcome(bytes, told);
  auto heard = decode_welcome(Bytes(bytes).subspan(4));
  REQUIRE(heard.ok());
  CHECK(heard->home == Home{});
  CHECK(heard->server == "hub-1");
}

TEST_CASE("A home travels with WELCOME") {
  Welcome told;
  told.server = "hub-1";
  told.home = {"hub-1.hub.example.org", "[2001:db8::1]:7443"};
  Buffer bytes;
  encode_welcome(bytes, told);
  auto heard = decode_welcome(Bytes(bytes).subspan(4));
  REQUIRE(heard.ok());
  CHECK(heard->home == told.home);
}

}  // namespace holdfast
