#include "common/config/address.h"

#include <utility>
#include <vector>

#include "tests/catch.h"

namespace holdfast {
namespace {

TEST_CASE("addresses are read in each of their forms") {
  CHECK(*parse_tcp_address("localhost:5432") == TcpAddress{"localhost", 5432});
  CHECK(*parse_tcp_address("198.51.100.10:1") == TcpAddress{"198.51.100.10", 1});
  CHECK(*parse_tcp_address("[::1]:65535") == TcpAddress{"::1", 65535});
  CHECK(*parse_tcp_address("[fe80::1%eth0]:7443") == TcpAddress{"fe80::1%eth0", 7443});
  CHECK(*parse_address("unix:/run/a.sock") == Address(UnixAddress{"/run/a.sock"}));
  CHECK(*parse_listen_address("systemd:web.1") == ListenAddress(SystemdSocket{"web.1"}));
  CHECK(*parse_listen_address("a-b.example:80") == ListenAddress(TcpAddress{"a-b.example", 80}));
}

TEST_CASE("an address is written as it is read") {
  for (const char* text : {"localhost:5432", "198.51.100.10:1", "[::1]:65535",
                           "[fe80::1%eth0]:7443", "*:80", "unix:/run/a.sock", "systemd:web"}) {
    CHECK(to_string(*parse_listen_address(text)) == text);
  }
}

TEST_CASE("a wrong address says what is wrong") {
  const std::string long_path = "unix:/" + std::string(107, 'a');
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "it is empty"},
      {"localhost", "the port is missing"},
      {":80", "the host is missing"},
      {":80", "write *:port"},
      {"localhost:", "a number from 1 to 65535"},
      {"localhost:0", "a number from 1 to 65535"},
      {"localhost:65536", "a number from 1 to 65535"},
      {"localhost:99999999999", "a number from 1 to 65535"},
      {"localhost:80x", "a number from 1 to 65535"},
      {"localhost:-1", "a number from 1 to 65535"},
      {"::1:80", "written [address]:port"},
      {"[::1]", "written [address]:port"},
      {"[::1]80", "written [address]:port"},
      {"[localhost]:80", "not an IPv6 address"},
      {"[::1%]:80", "not an IPv6 address"},
      {"256.1.1.1:80", "the IPv4 address is not a valid one"},
      {"1.2.3:80", "the IPv4 address is not a valid one"},
      {"a b:80", "a character that names do not have"},
      {"http//x:80", "a character that names do not have"},
      {std::string(254, 'a') + ":80", "longer than 253"},
      {"unix:", "is absolute"},
      {"unix:run/a", "is absolute"},
      {long_path, "at most 107 bytes, this one has 108"},
      {"systemd:", "FileDescriptorName="},
      {"systemd:a/b", "FileDescriptorName="},
  };
  for (const auto& [text, reason] : cases) {
    INFO(text);
    const Result<ListenAddress> parsed = parse_listen_address(text);
    REQUIRE_FALSE(parsed.ok());
    CHECK_THAT(parsed.error().message, ContainsSubstring(reason));
  }
}

TEST_CASE("a systemd socket cannot be connected to") {
  const Result<Address> parsed = parse_address("systemd:web");
  REQUIRE_FALSE(parsed.ok());
  CHECK_THAT(parsed.error().message, ContainsSubstring("can be listened on"));
}

TEST_CASE("only addresses of this host are local") {
  for (const char* text : {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[0:0::1]:1", "LocalHost:1",
                           "unix:/a", "systemd:a"}) {
    INFO(text);
    CHECK(is_local(*parse_listen_address(text)));
  }
  for (const char* text :
       {"0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.org:1", "127.example.org:1"}) {
    INFO(text);
    CHECK_FALSE(is_local(*parse_listen_address(text)));
  }
}

TEST_CASE("two addresses clash when both cannot be bound") {
  const auto clash = [](const char* one, const char* other) {
    const ListenAddress a = *parse_listen_address(one);
    const ListenAddress b = *parse_listen_address(other);
    CHECK(clashes(a, b) == clashes(b, a));
    return clashes(a, b);
  };
  CHECK(clash("127.0.0.1:80", "127.0.0.1:80"));
  CHECK(clash("localhost:80", "127.0.0.1:80"));
  CHECK(clash("0.0.0.0:80", "10.0.0.1:80"));
  CHECK(clash("[::]:80", "[::1]:80"));
  CHECK(clash("[::1]:80", "[0:0:0::1]:80"));
  CHECK(clash("unix:/a", "unix:/a"));
  CHECK(clash("systemd:a", "systemd:a"));
  CHECK_FALSE(clash("127.0.0.1:80", "127.0.0.1:81"));
  CHECK_FALSE(clash("127.0.0.1:80", "127.0.0.2:80"));
  CHECK_FALSE(clash("0.0.0.0:80", "[::]:80"));
  CHECK_FALSE(clash("unix:/a", "unix:/b"));
  CHECK_FALSE(clash("unix:/a", "127.0.0.1:80"));
}

}  // namespace
}  // namespace holdfast
