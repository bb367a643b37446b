// What a client says first, byte by byte, against docs/PROTOCOL.md, section 9: a second
// implementation relies on it, and so do those on the way who look at it.
#include <sys/socket.h>

#include <map>
#include <string>

#include "common/tls/tls.h"
#include "tests/catch.h"
#include "tests/unit/socket_pair.h"
#include "tests/unit/tls/certificates.h"
#include "tests/unit/tls/tls_bytes.h"

namespace holdfast {
namespace {

using namespace std::string_literals;
using test::number;
using test::Sockets;

// Extensions of TLS (RFC 8446, 4.2; RFC 6066; RFC 7301).
constexpr int kServerName = 0, kAlpn = 16, kEarlyData = 42, kPreSharedKey = 41, kKeyModes = 45;

struct ClientHello {
  std::string session_id;
  std::string suites;
  std::map<int, std::string> extensions;
  int last_extension = -1;
  bool has(int extension) const { return extensions.count(extension) != 0; }
};

ClientHello hello_of(const TlsClientOptions& options) {
  Sockets sockets;
  auto context = make_tls_client(options);
  REQUIRE(context.ok());
  auto transport = (*context)->make(sockets.ends[0]);
  REQUIRE(transport->handshake() == Transport::Status::again);
  char buffer[8192];
  ssize_t size = recv(sockets.ends[1], buffer, sizeof buffer, 0);
  REQUIRE(size > 0);
  std::string text(buffer, static_cast<std::size_t>(size));
  REQUIRE(number(text, 0, 1) == 22);  // one record of type handshake: nothing comes beside it
  REQUIRE(number(text, 3, 2) == text.size() - 5);
  REQUIRE(number(text, 5, 1) == 1);

  ClientHello hello;
  std::size_t at = 5 + 4 + 2 + 32;  // record, type and size, version, random
  hello.session_id = text.substr(at + 1, number(text, at, 1));
  at += 1 + hello.session_id.size();
  hello.suites = text.substr(at + 2, number(text, at, 2));
  at += 2 + hello.suites.size();
  at += 1 + number(text, at, 1) + 2;  // compression, the extensions' size
  while (at < text.size()) {
    int type = hello.last_extension = static_cast<int>(number(text, at, 2));
    hello.extensions[type] = text.substr(at + 4, number(text, at + 2, 2));
    at += 4 + hello.extensions[type].size();
  }
  return hello;
}

void check_what_all_have_in_common(const ClientHello& hello) {
  CHECK(hello.session_id.empty());  // no middlebox compatibility mode
  CHECK(hello.suites.substr(0, 4) == "\x13\x01\x13\x03"s);
  CHECK(hello.extensions.at(kKeyModes) == "\x01\x01"s);  // psk_dhe_ke alone
  CHECK_FALSE(hello.has(kAlpn));
  CHECK_FALSE(hello.has(kEarlyData));
}

TlsClientOptions with_certificate(const std::string& server_name) {
  test::Authority ca;
  test::Issued own = ca.issue({"edge-1", "DNS:edge-1"});
  TlsClientOptions options;
  options.files = TlsFiles{
      {"ca.pem", ca.certificate()}, {"edge-1.pem", own.certificate}, {"edge-1.key", own.key}};
  options.server_name = server_name;
  return options;
}

}  // namespace

TEST_CASE("a client with a key says its id, and no name of a server") {
  TlsClientOptions options;
  options.key.emplace();
  options.key->id = "0123456789abcdef0123456789abcdef";
  options.key->key.fill(7);
  options.server_name = "hub.example.org";
  ClientHello hello = hello_of(options);
  check_what_all_have_in_common(hello);
  CHECK_FALSE(hello.has(kServerName));
  // One identity of no age, and one binder of SHA-256; the last extension, as it must be.
  const std::string& offered = hello.extensions.at(kPreSharedKey);
  CHECK(hello.last_extension == kPreSharedKey);
  CHECK(offered.substr(0, 4 + 32 + 4) == "\x00\x26\x00\x20"s + options.key->id + "\0\0\0\0"s);
  CHECK(offered.substr(4 + 32 + 4, 3) == "\x00\x21\x20"s);
  CHECK(offered.size() == 4 + 32 + 4 + 3 + 32);
}

TEST_CASE("a client with a certificate asks for its server by name, but not by address") {
  ClientHello named = hello_of(with_certificate("hub.example.org"));
  check_what_all_have_in_common(named);
  CHECK_FALSE(named.has(kPreSharedKey));
  CHECK(named.extensions.at(kServerName) == "\x00\x12\x00\x00\x0fhub.example.org"s);
  ClientHello addressed = hello_of(with_certificate("192.0.2.7"));
  check_what_all_have_in_common(addressed);
  CHECK_FALSE(addressed.has(kServerName));
}

TEST_CASE("a client says the name that it is told to say, with a key and with a certificate") {
  TlsClientOptions with_key;
  with_key.key.emplace();
  with_key.key->id = "0123456789abcdef0123456789abcdef";
  for (TlsClientOptions options : {with_key, with_certificate("hub.example.org")}) {
    options.sni = "any.example";
    CHECK(hello_of(options).extensions.at(kServerName) ==
          "\x00\x0e\x00\x00\x0b"
          "any.example"s);
    options.sni = "";
    CHECK_FALSE(hello_of(options).has(kServerName));
  }
}

}  // namespace holdfast
