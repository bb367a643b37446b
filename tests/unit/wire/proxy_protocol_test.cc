#include "common/wire/proxy_protocol.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

Endpoint endpoint(const char* address, std::uint16_t port) {
  IpAddress ip = *parse_ip_address(address);
  auto family = ip.version == IpVersion::v4 ? EndpointFamily::ipv4 : EndpointFamily::ipv6;
  return {family, ip.bytes, port};
}

Bytes as_bytes(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

ProxyParse parse(const std::string& text) {
  return parse_proxy_header(as_bytes(text));
}

bool incomplete(const ProxyParse& parsed) {
  return std::holds_alternative<ProxyIncomplete>(parsed);
}

bool malformed(const ProxyParse& parsed) {
  return std::holds_alternative<ProxyMalformed>(parsed);
}

const Endpoint kUnix{EndpointFamily::unix_socket, {}, 0};

// A header of version 2 by hand: command, family, then what its length counts.
std::string binary(std::uint8_t command, std::uint8_t family, const std::string& body) {
  std::string head("\r\n\r\n\0\r\nQUIT\n", 12);
  head += {static_cast<char>(command), static_cast<char>(family),
           static_cast<char>(body.size() >> 8), static_cast<char>(body.size())};
  return head + body;
}

TEST_CASE("version 1 is one line") {
  CHECK(proxy_header(ProxyVersion::v1, endpoint("192.0.2.1", 51000), endpoint("10.0.5.7", 5432),
                     "x") == "PROXY TCP4 192.0.2.1 10.0.5.7 51000 5432\r\n");
  CHECK(proxy_header(ProxyVersion::v1, endpoint("2001:db8::1", 1), endpoint("2001:db8::2", 2),
                     "") == "PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n");
  CHECK(proxy_header(ProxyVersion::v1, kUnix, endpoint("10.0.5.7", 1), "") == "PROXY UNKNOWN\r\n");
}

TEST_CASE("addresses of two families are both written as IPv6") {
  CHECK(proxy_header(ProxyVersion::v1, endpoint("192.0.2.1", 7), endpoint("2001:db8::2", 2), "") ==
        "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 7 2\r\n");
  CHECK(proxy_header(ProxyVersion::v1, endpoint("192.0.2.1", 7), kUnix, "") ==
        "PROXY TCP4 192.0.2.1 0.0.0.0 7 0\r\n");
}

TEST_CASE("version 2 is the bytes of its text, with the connection's id") {
  std::string header = proxy_header(ProxyVersion::v2, endpoint("192.0.2.1", 51000),
                                    endpoint("10.0.5.7", 5432), "3fa9c1d2-17");
  std::string body("\xc0\x00\x02\x01\x0a\x00\x05\x07\xc7\x38\x15\x38\x05\x00\x0b", 15);
  CHECK(header == binary(0x21, 0x11, body + "3fa9c1d2-17"));
  CHECK(proxy_header(ProxyVersion::v2, kUnix, kUnix, "") == binary(0x21, 0x00, ""));
}

TEST_CASE("a unique id that is too long is left out") {
  std::string header =
      proxy_header(ProxyVersion::v2, kUnix, kUnix, std::string(kMaxProxyUniqueId + 1, 'x'));
  CHECK(header.size() == 16);
}

TEST_CASE("every header reads as what it was made of, and its every beginning is incomplete") {
  for (auto version : {ProxyVersion::v1, ProxyVersion::v2}) {
    for (auto [source, destination] :
         {std::pair(endpoint("192.0.2.1", 51000), endpoint("10.0.5.7", 65535)),
          std::pair(endpoint("2001:db8::1", 1), endpoint("2001:db8::2", 443)),
          std::pair(endpoint("192.0.2.1", 7), endpoint("2001:db8::2", 2))}) {
      std::string header = proxy_header(version, source, destination, "an-id");
      auto parsed = parse(header + "the application's bytes");
      REQUIRE(std::holds_alternative<ProxyHeader>(parsed));
      const auto& read = std::get<ProxyHeader>(parsed);
      CHECK(read.size == header.size());
      CHECK(read.on_behalf);
      CHECK(read.source == source);
      CHECK(read.destination == destination);
      for (std::size_t size = 0; size < header.size(); ++size) {
        CHECK(incomplete(parse(header.substr(0, size))));
      }
    }
  }
}

TEST_CASE("who speaks for himself is no source on behalf") {
  for (const std::string& header :
       {binary(0x20, 0x00, ""), binary(0x20, 0x11, "what stands here is ignored"),
        binary(0x21, 0x00, "as is this"), binary(0x21, 0x12, std::string(12, 'u')),
        std::string("PROXY UNKNOWN\r\n"), std::string("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n")}) {
    auto parsed = parse(header + "x");
    REQUIRE(std::holds_alternative<ProxyHeader>(parsed));
    CHECK_FALSE(std::get<ProxyHeader>(parsed).on_behalf);
    CHECK(std::get<ProxyHeader>(parsed).size == header.size());
  }
  auto local = parse(binary(0x21, 0x31, std::string(216, 's')));
  CHECK(std::get<ProxyHeader>(local).source.family == EndpointFamily::unix_socket);
}

TEST_CASE("TLVs that add up are skipped and others are not") {
  std::string addresses(12, '\1');
  CHECK(std::holds_alternative<ProxyHeader>(
      parse(binary(0x21, 0x11, addresses + std::string("\x04\x00\x02xx\xe0\x00\x00", 8)))));
  CHECK(malformed(parse(binary(0x21, 0x11, addresses + std::string("\x04\x00\x03xx", 5)))));
  CHECK(malformed(parse(binary(0x21, 0x11, addresses + "\x04"))));
}

TEST_CASE("what is no header is told at the first byte that shows it") {
  CHECK(malformed(parse("G")));
  CHECK(malformed(parse("PROXX")));
  CHECK(malformed(parse("PROXY SCTP 1 2 3 4\r\n")));
  CHECK(malformed(parse("\r\n\r\nGET")));
  for (const char* line :
       {"PROXY TCP4 192.0.2.1 10.0.5.7 51000\r\n", "PROXY TCP4 192.0.2.1 10.0.5.7 51000 65536\r\n",
        "PROXY TCP4 192.0.2.1 10.0.5.7 51000 5432 \r\n", "PROXY TCP4 ::1 ::2 1 2\r\n",
        "PROXY TCP6 192.0.2.1 10.0.5.7 1 2\r\n", "PROXY TCP4 192.0.2.1  10.0.5.7 1 2\r\n",
        "PROXY TCP4 192.0.2.1 10.0.5.7 01 2\r\n", "PROXY TCP4 192.0.2.1 10.0.5.7 -1 2\r\n",
        "PROXY \r\n", "PROXY TCP4\r\n"}) {
    INFO(line);
    CHECK(malformed(parse(line)));
  }
  CHECK(malformed(parse(binary(0x11, 0x11, std::string(12, 'a')))));
  CHECK(malformed(parse(binary(0x22, 0x11, std::string(12, 'a')))));
  CHECK(malformed(parse(binary(0x21, 0x11, std::string(11, 'a')))));
}

TEST_CASE("no header is waited for without an end") {
  CHECK(incomplete(parse("PROXY " + std::string(kMaxProxyLine - 7, 'x'))));
  CHECK(malformed(parse("PROXY " + std::string(kMaxProxyLine - 6, 'x'))));
  std::string longest = binary(0x21, 0x00, std::string(kMaxProxyHeader - 16, 'x'));
  CHECK(std::holds_alternative<ProxyHeader>(parse(longest)));
  CHECK(malformed(parse(binary(0x21, 0x00, std::string(kMaxProxyHeader - 15, 'x')).substr(0, 16))));
}

}  // namespace
}  // namespace holdfast
