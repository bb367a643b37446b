// TLS transports against each other over a socket pair: who gets in, and that bytes survive.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "common/base/random.h"
#include "common/tls/tls.h"
#include "tests/catch.h"
#include "tests/unit/socket_pair.h"

using namespace holdfast;
using holdfast::test::Sockets;

namespace {

TlsKey key_of(const std::string& id, const std::string& name, std::uint8_t byte) {
  TlsKey key;
  key.id = id;
  key.name = name;
  key.key.fill(byte);
  return key;
}

struct TlsPair {
  Sockets sockets;
  std::unique_ptr<Transport> client;
  std::unique_ptr<Transport> server;
  Transport::Status client_status = Transport::Status::again;
  Transport::Status server_status = Transport::Status::again;

  TlsPair(TlsContext& client_context, TlsContext& server_context)
      : client(client_context.make(sockets.ends[0])),
        server(server_context.make(sockets.ends[1])) {}

  void shake_hands() {
    for (int turn = 0; turn < 10; ++turn) {
      if (client_status == Transport::Status::again) client_status = client->handshake();
      if (server_status == Transport::Status::again) server_status = server->handshake();
    }
  }
};

std::unique_ptr<TlsContext> client_with(const TlsKey& key) {
  TlsClientOptions options;
  options.key = key;
  auto context = make_tls_client(options);
  REQUIRE(context.ok());
  return std::move(context).value();
}

std::unique_ptr<TlsContext> server_with(std::vector<TlsKey> keys) {
  TlsServerOptions options;
  options.keys = std::move(keys);
  auto context = make_tls_server(options);
  REQUIRE(context.ok());
  return std::move(context).value();
}

// What the client learns of a failed handshake: after the server's alert has arrived.
std::string failure_seen_by_client(TlsPair& pair) {
  std::uint8_t byte[1];
  Transport::Outcome outcome = pair.client->read(byte);
  return std::to_string(static_cast<int>(outcome.status)) + pair.client->error();
}

}  // namespace

TEST_CASE("the right key gets in and proves its client") {
  auto client = client_with(key_of("00aa", "", 7));
  auto server = server_with({key_of("00bb", "other", 9), key_of("00aa", "edge-1", 7)});
  TlsPair pair(*client, *server);
  pair.shake_hands();
  CHECK(pair.client_status == Transport::Status::done);
  REQUIRE(pair.server_status == Transport::Status::done);
  CHECK(pair.server->identity() == std::optional<std::string>("edge-1"));
}

TEST_CASE(
    "a wrong key and an unknown id fail alike for the client, and apart in the server's log") {
  auto server = server_with({key_of("00aa", "edge-1", 7)});
  auto wrong = client_with(key_of("00aa", "", 8));
  auto unknown = client_with(key_of("00cc", "", 7));
  TlsPair with_wrong(*wrong, *server);
  TlsPair with_unknown(*unknown, *server);
  with_wrong.shake_hands();
  with_unknown.shake_hands();
  CHECK(with_wrong.server_status == Transport::Status::failed);
  CHECK(with_unknown.server_status == Transport::Status::failed);
  CHECK(with_wrong.client_status == with_unknown.client_status);
  CHECK(failure_seen_by_client(with_wrong) == failure_seen_by_client(with_unknown));
  CHECK(with_wrong.server->error().find("edge-1 offered a wrong key") != std::string::npos);
  CHECK(with_unknown.server->error() == "no client has the key that was offered");
  CHECK_FALSE(with_wrong.server->identity());
}

TEST_CASE("a context may go while its handshake runs") {
  auto client = client_with(key_of("00aa", "", 7));
  auto server = server_with({key_of("00aa", "edge-1", 7)});
  TlsPair pair(*client, *server);
  client.reset();
  server.reset();
  pair.shake_hands();
  CHECK(pair.server_status == Transport::Status::done);
}

TEST_CASE("bytes of every shape arrive whole through short writes and a full socket") {
  auto client = client_with(key_of("00aa", "", 7));
  auto server = server_with({key_of("00aa", "edge-1", 7)});
  TlsPair pair(*client, *server);
  pair.shake_hands();
  REQUIRE(pair.server_status == Transport::Status::done);
  Random random(1);
  std::vector<std::uint8_t> sent(3'000'000);
  for (auto& byte : sent) byte = static_cast<std::uint8_t>(random.next());
  std::vector<std::uint8_t> got;
  std::vector<std::uint8_t> buffer(256 * 1024);
  std::size_t at = 0;
  bool refused = false;
  while (got.size() < sent.size()) {
    std::vector<iovec> buffers;
    std::size_t end = at;
    while (end < sent.size() && buffers.size() < 60) {
      std::size_t size = std::min<std::size_t>(sent.size() - end, random.between(1, 6000));
      buffers.push_back({sent.data() + end, size});
      end += size;
    }
    Transport::Outcome outcome = pair.client->write(buffers);
    refused = refused || outcome.status == Transport::Status::again;
    REQUIRE(
        (outcome.status == Transport::Status::done || outcome.status == Transport::Status::again));
    at += outcome.bytes;
    // Read only now and then, so that the socket fills.
    if (!refused && at < sent.size()) continue;
    for (int reads = 0; reads < 3; ++reads) {
      Transport::Outcome in = pair.server->read(buffer);
      if (in.status != Transport::Status::done) break;
      got.insert(got.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(in.bytes));
    }
    // What is still encrypted and unsent goes when the socket has room.
    std::uint8_t byte[1];
    REQUIRE(pair.client->read(byte).status == Transport::Status::again);
  }
  CHECK(refused);
  CHECK(got == sent);
}

TEST_CASE("an orderly end is read as an end, after every byte") {
  auto client = client_with(key_of("00aa", "", 7));
  auto server = server_with({key_of("00aa", "edge-1", 7)});
  TlsPair pair(*client, *server);
  pair.shake_hands();
  char text[] = "last words";
  iovec buffer{text, sizeof text};
  REQUIRE(pair.client->write({&buffer, 1}).bytes == sizeof text);
  pair.client->shut_down();
  std::uint8_t read[64];
  Transport::Outcome outcome = pair.server->read(read);
  REQUIRE(outcome.bytes == sizeof text);
  CHECK(std::memcmp(read, text, sizeof text) == 0);
  CHECK(pair.server->read(read).status == Transport::Status::end);
}

TEST_CASE("what a full read buffer leaves of a record is told of, though no poller sees it") {
  auto client = client_with(key_of("00aa", "", 7));
  auto server = server_with({key_of("00aa", "edge-1", 7)});
  TlsPair pair(*client, *server);
  pair.shake_hands();
  // A small record, then full ones: the end of the buffer falls into the last of them.
  std::vector<std::uint8_t> small(26, 1);
  std::vector<std::uint8_t> large(4 * 16384, 2);
  for (std::vector<std::uint8_t>* bytes : {&small, &large}) {
    iovec buffer{bytes->data(), bytes->size()};
    REQUIRE(pair.client->write({&buffer, 1}).bytes == bytes->size());
    REQUIRE_FALSE(pair.client->wants().write);
  }
  std::vector<std::uint8_t> buffer(64 * 1024);
  REQUIRE(pair.server->read(buffer).bytes == buffer.size());
  std::uint8_t byte[1];
  REQUIRE(recv(pair.sockets.ends[1], byte, sizeof byte, MSG_PEEK) == -1);
  CHECK(pair.server->buffered());
  CHECK(pair.server->read(buffer).bytes == small.size());
  CHECK_FALSE(pair.server->buffered());
}

TEST_CASE("a flipped bit on the wire ends the carrier and yields nothing") {
  auto client = client_with(key_of("00aa", "", 7));
  auto server = server_with({key_of("00aa", "edge-1", 7)});
  TlsPair pair(*client, *server);
  pair.shake_hands();
  std::uint8_t record[64] = {23, 3, 3, 0, 40, 1, 2, 3};
  REQUIRE(write(pair.sockets.ends[0], record, 45) == 45);
  std::uint8_t read[64];
  Transport::Outcome outcome = pair.server->read(read);
  CHECK(outcome.status == Transport::Status::failed);
  CHECK(outcome.bytes == 0);
}

TEST_CASE("what is not TLS fails the handshake at once") {
  auto server = server_with({key_of("00aa", "edge-1", 7)});
  Sockets sockets;
  auto transport = server->make(sockets.ends[1]);
  const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  REQUIRE(write(sockets.ends[0], request, sizeof request) > 0);
  CHECK(transport->handshake() == Transport::Status::failed);
}

TEST_CASE("a client without a key is not let in") {
  auto server = server_with({key_of("00aa", "edge-1", 7)});
  TlsClientOptions options;
  options.key = key_of("", "", 1);
  auto context = make_tls_client(options);
  REQUIRE(context.ok());
  TlsPair pair(**context, *server);
  pair.shake_hands();
  CHECK(pair.server_status != Transport::Status::done);
}
