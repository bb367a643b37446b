// Which group keys are exchanged by, and that no hello is answered by a retry: agents of this tree
// beside each other, and beside what knows X25519 alone (this tree over an older OpenSSL).
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "common/tls/internal.h"
#include "tests/catch.h"
#include "tests/unit/socket_pair.h"
#include "tests/unit/tls/tls_bytes.h"

namespace holdfast {
namespace {

using test::number;
using test::Sockets;

constexpr int kX25519 = 0x001d, kX25519MlKem768 = 0x11ec;
constexpr char kId[] = "00aa";

// What this machine's OpenSSL can do, by another way than the agents ask.
bool has_ml_kem() {
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, "X25519MLKEM768", nullptr);
  EVP_PKEY_CTX_free(context);
  return context != nullptr;
}

// One end of a handshake.
struct End {
  virtual ~End() = default;
  virtual bool go_on() = 0;  // true: it is done
};

struct Ours final : End {
  Ours(std::unique_ptr<TlsContext> made, int descriptor)
      : context(std::move(made)), transport(context->make(descriptor)) {}
  bool go_on() override { return transport->handshake() == Transport::Status::done; }

  std::unique_ptr<TlsContext> context;
  std::unique_ptr<Transport> transport;
};

unsigned give_key(unsigned char* to, unsigned size) {
  REQUIRE(size >= 32);
  std::memset(to, 7, 32);
  return 32;
}

// OpenSSL itself with these groups and the same key.
struct Others final : End {
  Others(const char* groups, void (*set_role)(SSL*), int descriptor) {
    SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
    SSL_CTX_set_ciphersuites(context.get(), "TLS_AES_128_GCM_SHA256");
    REQUIRE(SSL_CTX_set1_groups_list(context.get(), groups) == 1);
    SSL_CTX_set_psk_client_callback(
        context.get(), [](SSL*, const char*, char* id, unsigned, unsigned char* to, unsigned size) {
          std::strcpy(id, kId);
          return give_key(to, size);
        });
    SSL_CTX_set_psk_server_callback(context.get(),
                                    [](SSL*, const char* id, unsigned char* to, unsigned size) {
                                      return std::strcmp(id, kId) == 0 ? give_key(to, size) : 0U;
                                    });
    ssl.reset(SSL_new(context.get()));
    SSL_set_fd(ssl.get(), descriptor);
    set_role(ssl.get());
  }
  bool go_on() override { return SSL_do_handshake(ssl.get()) == 1; }

  tls::ContextPtr context{SSL_CTX_new(TLS_method())};
  tls::SslPtr ssl;
};

TlsKey key() {
  TlsKey key;
  key.id = kId;
  key.name = "edge-1";
  key.key.fill(7);
  return key;
}

// An agent's end where `groups` is null.
std::unique_ptr<End> client(const char* groups, int descriptor) {
  if (groups != nullptr) return std::make_unique<Others>(groups, SSL_set_connect_state, descriptor);
  TlsClientOptions options;
  options.key = key();
  return std::make_unique<Ours>(make_tls_client(options).value(), descriptor);
}

std::unique_ptr<End> server(const char* groups, int descriptor) {
  if (groups != nullptr) return std::make_unique<Others>(groups, SSL_set_accept_state, descriptor);
  TlsServerOptions options;
  options.keys = {key()};
  return std::make_unique<Ours>(make_tls_server(options).value(), descriptor);
}

// The hellos among what one end sent: they are the handshake records in clear (RFC 8446, 4.1).
std::vector<std::string> hellos_in(const std::string& sent) {
  std::vector<std::string> found;
  for (std::size_t at = 0; at < sent.size(); at += 5 + number(sent, at + 3, 2)) {
    if (sent[at] != 22) continue;
    found.push_back(sent.substr(at + 5, number(sent, at + 3, 2)));
  }
  return found;
}

// The group of a server hello's key share (4.2.8).
int group_of(const std::string& hello) {
  REQUIRE(number(hello, 0, 1) == 2);
  std::size_t at = 4 + 2 + 32;             // type and size, version, random
  at += 1 + number(hello, at, 1) + 2 + 1;  // session id, suite, compression
  std::size_t end = at + 2 + number(hello, at, 2);
  for (at += 2; at < end; at += 4 + number(hello, at + 2, 2)) {
    if (number(hello, at, 2) == 51) return static_cast<int>(number(hello, at + 4, 2));
  }
  return 0;
}

struct Seen {
  bool done = false;
  std::size_t client_hellos = 0;
  std::size_t server_hellos = 0;
  int group = 0;
};

void pass_on(int from, int to, std::string& seen) {
  char buffer[16384];
  for (ssize_t size; (size = recv(from, buffer, sizeof buffer, 0)) > 0;) {
    seen.append(buffer, static_cast<std::size_t>(size));
    REQUIRE(send(to, buffer, static_cast<std::size_t>(size), MSG_NOSIGNAL) == size);
  }
}

// With somebody between the two, who sees what is sent in clear.
Seen shake_hands(const char* client_groups, const char* server_groups) {
  Sockets near, far;
  auto at_client = client(client_groups, near.ends[0]);
  auto at_server = server(server_groups, far.ends[1]);
  bool client_done = false, server_done = false;
  std::string up, down;
  for (int turn = 0; turn < 10 && !(client_done && server_done); ++turn) {
    if (!client_done) client_done = at_client->go_on();
    pass_on(near.ends[1], far.ends[0], up);
    if (!server_done) server_done = at_server->go_on();
    pass_on(far.ends[0], near.ends[1], down);
  }
  Seen seen;
  seen.done = client_done && server_done;
  seen.client_hellos = hellos_in(up).size();
  std::vector<std::string> answers = hellos_in(down);
  seen.server_hellos = answers.size();
  if (!answers.empty()) seen.group = group_of(answers.back());
  return seen;
}

TEST_CASE("keys are exchanged by the best group of both ends, and no hello is sent again") {
  const bool hybrid = has_ml_kem();
  struct Row {
    const char* client;
    const char* server;
    int group;
  };
  constexpr const char* kOurs = nullptr;
  std::vector<Row> rows = {{kOurs, kOurs, hybrid ? kX25519MlKem768 : kX25519},
                           {"X25519", kOurs, kX25519},
                           {kOurs, "X25519", kX25519}};
  if (hybrid) {
    rows.push_back({kOurs, "X25519:X25519MLKEM768", kX25519MlKem768});  // the client's order counts
    rows.push_back({kOurs, "X25519MLKEM768", kX25519MlKem768});
    rows.push_back({"X25519MLKEM768", kOurs, kX25519MlKem768});
  }
  for (const Row& row : rows) {
    INFO((row.client != kOurs ? row.client : "ours")
         << " and " << (row.server != kOurs ? row.server : "ours"));
    Seen seen = shake_hands(row.client, row.server);
    CHECK(seen.done);
    CHECK(seen.client_hellos == 1);
    CHECK(seen.server_hellos == 1);
    CHECK(seen.group == row.group);
  }
}

TEST_CASE("a retry would be seen") {
  // A client whose first guess its server does not take.
  Seen seen = shake_hands("P-256:X25519", nullptr);
  CHECK(seen.done);
  CHECK(seen.client_hellos == 2);
  CHECK(seen.server_hellos == 2);
  CHECK(seen.group == kX25519);
}

}  // namespace
}  // namespace holdfast
