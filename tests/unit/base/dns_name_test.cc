#include "common/base/dns_name.h"

#include <string>

#include "tests/catch.h"

namespace holdfast {

TEST_CASE("A DNS name has labels between dots") {
  for (const char* good : {"hub", "hub-1", "hub-1.hub.example.org", "_a.b", "1.example", "x.2y"}) {
    INFO(good);
    CHECK(is_dns_name(good));
  }
  CHECK(is_dns_name(std::string(63, 'a') + "." + std::string(63, 'b')));
}

TEST_CASE("What DNS or TLS would not take is no DNS name") {
  for (const char* bad :
       {"", ".", "a.", ".a", "a..b", "-a", "a-", "a b", "a:1", "192.0.2.1", "1", "::1", "a/b",
        "h\xc3\xbc"
        "b",
        "*.example.org", "a\n"}) {
    INFO(bad);
    CHECK_FALSE(is_dns_name(bad));
  }
  CHECK_FALSE(is_dns_name(std::string(64, 'a')));
  CHECK_FALSE(is_dns_name(std::string(63, 'a') + "." + std::string(63, 'a') + "." +
                          std::string(63, 'a') + "." + std::string(64, 'a')));
}

}  // namespace holdfast
