#include "common/admin/host_check.h"

#include <unistd.h>

#include "tests/catch.h"

namespace holdfast {
namespace {

TEST_CASE("literal addresses, plain names and localhost are this host") {
  for (const char* host :
       {"127.0.0.1", "127.0.0.1:9465", "198.51.100.7:80", "[::1]:9465", "[::1]", "[fe80::1]:9465",
        "localhost", "LOCALHOST:9465", "edge-1:9465", "holdfast.localhost:9465", "localhost."}) {
    INFO(host);
    CHECK(why_not_this_host(host, "127.0.0.1").empty());
  }
}

TEST_CASE("other names are refused with what to do, however they are written") {
  for (const char* host :
       {"evil.example", "evil.example:9465", "127.0.0.1.evil.example", "localhost.evil.example",
        "evil.example.", "notlocalhost.com", "", "[::1].evil.example", "1.2.3.4.5",
        "[evil.example]:9465", ".", "[", "]:"}) {
    INFO(host);
    CHECK(why_not_this_host(host, "127.0.0.1").find("open it as http://") != std::string::npos);
  }
}

TEST_CASE("the configured name and the machine's own are this host") {
  CHECK(why_not_this_host("Mon.Example.org:9465", "mon.example.org").empty());
  CHECK_FALSE(why_not_this_host("mon.example.org:9465", "other.example.org").empty());
  char name[256] = {};
  REQUIRE(::gethostname(name, sizeof name - 1) == 0);
  CHECK(why_not_this_host(std::string(name) + ":9465", "127.0.0.1").empty());
}

}  // namespace
}  // namespace holdfast
