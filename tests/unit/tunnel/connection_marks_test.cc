#include "common/tunnel/connection_marks.h"

#include <set>

#include "common/io/socket.h"
#include "tests/catch.h"

namespace holdfast {
namespace {

constexpr MarkKey kKey = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

Endpoint end(const char* host, std::uint16_t port) {
  return SocketAddress::literal({host, port})->endpoint();
}

HostScope host(std::uint8_t boot, std::uint64_t network_namespace) {
  HostScope scope;
  for (auto& byte : scope.boot_id) byte = boot;
  scope.network_namespace = network_namespace;
  return scope;
}

std::uint64_t mark(const Endpoint& from, const Endpoint& to, const HostScope& at = host(1, 2)) {
  return connection_mark(kKey, from, to, at).value;
}

TEST_CASE("A mark is what the protocol says") {
  // By `openssl mac -digest SHA256 -macopt hexkey:000102...0f -in FILE HMAC`, FILE being the two
  // ends, and for loopback the host.
  CHECK(mark(end("192.0.2.1", 40000), end("192.0.2.2", 80)) == 0x6a4e8df712b3f1fe);
  CHECK(mark(end("2001:db8::1", 40000), end("2001:db8::2", 80)) == 0x36256fe2e1a71ea4);
  CHECK(mark(end("127.0.0.1", 40000), end("127.0.0.1", 80)) == 0x12ed6f54586afa43);
  // Nor does a key in between leave anything.
  CHECK(connection_mark({9}, end("192.0.2.1", 40000), end("192.0.2.2", 80)).value != 0);
  CHECK(mark(end("192.0.2.1", 40000), end("192.0.2.2", 80)) == 0x6a4e8df712b3f1fe);
}

TEST_CASE("A mark is the same at both ends, and no other connection's") {
  Endpoint from = end("10.0.0.5", 40000);
  Endpoint to = end("10.0.0.1", 80);
  CHECK(mark(from, to) == mark(from, to));
  // A socket of both families calls it by IPv6.
  CHECK(mark(end("::ffff:10.0.0.5", 40000), end("::ffff:10.0.0.1", 80)) == mark(from, to));
  CHECK(mark(end("::ffff:127.0.0.1", 1), to) == mark(end("127.0.0.1", 1), to));
  std::set<std::uint64_t> all = {
      mark(from, to),
      mark(to, from),
      mark(end("10.0.0.5", 40001), to),
      mark(from, end("10.0.0.1", 81)),
      mark(end("10.0.0.6", 40000), to),
      mark(from, end("10.0.0.2", 80)),
      mark(end("::1", 40000), end("::1", 80)),
      mark(end("fd00::5", 40000), end("fd00::1", 80)),
      connection_mark({9}, from, to).value,
  };
  CHECK(all.size() == 9);
  CHECK(all.count(0) == 0);
}

TEST_CASE("Addresses of one host are others on another host, and in another network namespace") {
  for (const char* address : {"127.0.0.1", "127.9.9.9", "::1", "169.254.7.7", "fe80::1"}) {
    INFO(address);
    Endpoint from = end(address, 40000);
    Endpoint to = end(address, 5432);
    CHECK(mark(from, to, host(1, 2)) == mark(from, to, host(1, 2)));
    CHECK(mark(from, to, host(1, 2)) != mark(from, to, host(3, 2)));
    CHECK(mark(from, to, host(1, 2)) != mark(from, to, host(1, 4)));
    CHECK(connection_mark(kKey, from, to, std::nullopt).value == 0);
    CHECK(connection_mark(kKey, from, to, host(1, 2)).unique);
  }
  // So is an address, of whatever kind, that talks to itself: a virtual one of many hosts.
  for (const char* address : {"10.0.0.1", "8.8.8.8", "2600::1"}) {
    INFO(address);
    Endpoint from = end(address, 40000);
    Endpoint to = end(address, 5432);
    CHECK(mark(from, to, host(1, 2)) != mark(from, to, host(3, 2)));
    CHECK(connection_mark(kKey, from, to, std::nullopt).value == 0);
    CHECK(connection_mark(kKey, from, to, host(1, 2)).unique);
  }
  // One such end is enough.
  Endpoint far = end("10.0.0.1", 80);
  CHECK(mark(end("127.0.0.1", 1), far, host(1, 2)) != mark(end("127.0.0.1", 1), far, host(3, 2)));
  // Others are the same wherever they are seen.
  CHECK(mark(end("10.0.0.5", 1), far, host(1, 2)) == mark(end("10.0.0.5", 1), far, host(3, 4)));
  CHECK(connection_mark(kKey, end("10.0.0.5", 1), far, std::nullopt).value != 0);
}

TEST_CASE("Private addresses may be another network's, public ones not") {
  auto unique = [](const char* one, const char* other) {
    return connection_mark(kKey, end(one, 1), end(other, 2)).unique;
  };
  CHECK(unique("8.8.8.8", "1.1.1.1"));
  CHECK(unique("2a00:1450::1", "2600::1"));
  CHECK(unique("172.32.0.1", "1.1.1.1"));
  for (const char* repeated : {"10.1.2.3", "172.17.0.2", "192.168.1.1", "100.64.0.1", "192.0.2.1",
                               "fd12::1", "2001:db8::1", "240.0.0.1"}) {
    INFO(repeated);
    CHECK_FALSE(unique(repeated, "1.1.1.1"));
    CHECK_FALSE(unique("1.1.1.1", repeated));
  }
}

TEST_CASE("What is no TCP connection, or has no key, has no mark") {
  Endpoint to = end("127.0.0.1", 80);
  CHECK(connection_mark(kKey, Endpoint{}, to).value == 0);
  CHECK(connection_mark(kKey, to, {EndpointFamily::unix_socket, {}, 0}).value == 0);
  CHECK(connection_mark(MarkKey{}, to, to).value == 0);
}

TEST_CASE("This host says where it is") {
  REQUIRE(this_host());
  CHECK(this_host()->network_namespace != 0);
  CHECK(this_host()->boot_id != HostScope{}.boot_id);
}

}  // namespace
}  // namespace holdfast
