#include "common/base/network.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

IpAddress ip(const char* text) {
  return *parse_ip_address(text);
}

bool fits(const char* pattern, const char* address, std::uint16_t port = 5432) {
  return parse_address_pattern(pattern)->contains(ip(address), port);
}

TEST_CASE("a network contains what its prefix says") {
  CHECK(parse_network("10.0.5.0/24")->contains(ip("10.0.5.255")));
  CHECK_FALSE(parse_network("10.0.5.0/24")->contains(ip("10.0.6.0")));
  CHECK(parse_network("10.0.4.0/23")->contains(ip("10.0.5.1")));
  CHECK_FALSE(parse_network("10.0.4.0/23")->contains(ip("10.0.6.1")));
  CHECK(parse_network("0.0.0.0/0")->contains(ip("255.255.255.255")));
  CHECK(parse_network("10.0.5.7")->contains(ip("10.0.5.7")));
  CHECK_FALSE(parse_network("10.0.5.7")->contains(ip("10.0.5.6")));
  CHECK(parse_network("2001:db8::/33")->contains(ip("2001:db8:7fff::1")));
  CHECK_FALSE(parse_network("2001:db8::/33")->contains(ip("2001:db8:8000::1")));
}

TEST_CASE("an IPv4 address written as IPv6 is the IPv4 address") {
  CHECK(ip("::ffff:10.0.5.7") == ip("10.0.5.7"));
  CHECK(parse_network("10.0.5.0/24")->contains(ip("::ffff:10.0.5.7")));
  CHECK_FALSE(parse_network("::/0")->contains(ip("::ffff:10.0.5.7")));
  CHECK_FALSE(parse_network("::/0")->contains(ip("10.0.5.7")));
  CHECK_FALSE(parse_network("0.0.0.0/0")->contains(ip("2001:db8::1")));
}

TEST_CASE("a pattern has one port, a range or any") {
  CHECK(fits("10.0.5.0/24:5432", "10.0.5.1", 5432));
  CHECK_FALSE(fits("10.0.5.0/24:5432", "10.0.5.1", 5433));
  CHECK(fits("10.0.5.7:8000-8099", "10.0.5.7", 8099));
  CHECK_FALSE(fits("10.0.5.7:8000-8099", "10.0.5.7", 8100));
  CHECK(fits("[2001:db8::/32]:*", "2001:db8::5", 1));
  CHECK(fits("[2001:db8::5]:22", "2001:db8::5", 22));
  CHECK_FALSE(fits("10.0.5.0/24:*", "10.0.5.1", 0));
}

TEST_CASE("networks and patterns are written as they are read") {
  for (const char* text : {"10.0.5.0/24:5432", "10.0.5.7:8000-8099", "[2001:db8::/32]:*",
                           "[2001:db8::5]:22", "0.0.0.0/0:1-1023"}) {
    CHECK(to_string(*parse_address_pattern(text)) == text);
  }
  for (const char* text : {"10.0.5.0/24", "10.0.5.7", "2001:db8::/32", "::/0"}) {
    CHECK(to_string(*parse_network(text)) == text);
  }
}

TEST_CASE("what is no pattern is told with how to write it") {
  for (const char* text :
       {"", ":", "10.0.5.0/24", "10.0.5.0/24:", "10.0.5.0/24:0", "10.0.5.0/24:65536",
        "10.0.5.0/24:9-8", "10.0.5.0/24:1-", "10.0.5.0/33:1", "10.0.5.0/:1", "10.0.5:1",
        "example.org:80", "2001:db8::1:80", "[2001:db8::1]", "[10.0.5.0/24:1", "10.0.5.0/-1:1"}) {
    INFO(text);
    CHECK_FALSE(parse_address_pattern(text).ok());
  }
  CHECK(parse_network("10.0.5.7/24").error().message.find("10.0.5.0/24?") != std::string::npos);
}

TEST_CASE("addresses that reach the host itself are known") {
  for (const char* own : {"127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"}) {
    CHECK(is_own_host(ip(own)));
  }
  for (const char* other : {"128.0.0.1", "10.0.0.1", "::2", "2001:db8::1"}) {
    CHECK_FALSE(is_own_host(ip(other)));
  }
  for (const char* many : {"224.0.0.1", "255.255.255.255", "ff02::1"}) CHECK(is_for_many(ip(many)));
  CHECK_FALSE(is_for_many(ip("10.0.0.1")));
}

}  // namespace
}  // namespace holdfast
