// OpenSSL's memory: where it gets none a handshake fails, and nothing else; one at rest has little.
#include <openssl/crypto.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "common/tls/tls.h"
#include "tests/catch.h"
#include "tests/unit/socket_pair.h"

namespace holdfast {
namespace {

using test::Sockets;

// OpenSSL's allocations of this thread: counted, and refused as `refuse` says of their number.
thread_local int allocations = 0;
enum class Refuse { none, one, all_after };
thread_local Refuse refuse = Refuse::none;
thread_local int refused_from = 0;

bool is_refused() {
  int number = allocations++;
  if (refuse == Refuse::one) return number == refused_from;
  return refuse == Refuse::all_after && number >= refused_from;
}
void* counted_malloc(std::size_t size, const char*, int) {
  return is_refused() ? nullptr : std::malloc(size);
}
void* counted_realloc(void* old, std::size_t size, const char*, int) {
  if (size == 0) return std::free(old), nullptr;
  return is_refused() ? nullptr : std::realloc(old, size);
}
void counted_free(void* old, const char*, int) {
  std::free(old);
}

// Before main(), as it must come before OpenSSL's first allocation.
const bool kCounts = CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free) == 1;

TlsKey key() {
  TlsKey key;
  key.id = "00aa";
  key.name = "edge-1";
  key.key.fill(7);
  return key;
}

struct Contexts {
  std::unique_ptr<TlsContext> client;
  std::unique_ptr<TlsContext> server;
  Contexts() {
    TlsClientOptions from;
    from.key = key();
    TlsServerOptions to;
    to.keys = {key()};
    client = make_tls_client(from).value();
    server = make_tls_server(to).value();
  }
};

// Both ends' sessions are made, with OpenSSL's allocations refused from the given one on. Whether
// each began.
struct Begun {
  Transport::Status status{};
  std::string error;
  int allocations = 0;
};
Begun begin(TlsContext& context, Refuse how, int from) {
  Sockets sockets;
  allocations = 0;
  refused_from = from;
  refuse = how;
  std::unique_ptr<Transport> transport = context.make(sockets.ends[0]);
  Begun begun;
  begun.status = transport->handshake();
  refuse = Refuse::none;
  begun.allocations = allocations;
  begun.error = transport->error();
  return begun;
}

bool shakes_hands(Contexts& contexts) {
  Sockets sockets;
  auto client = contexts.client->make(sockets.ends[0]);
  auto server = contexts.server->make(sockets.ends[1]);
  auto at_client = Transport::Status::again, at_server = Transport::Status::again;
  for (int turn = 0; turn < 10; ++turn) {
    if (at_client == Transport::Status::again) at_client = client->handshake();
    if (at_server == Transport::Status::again) at_server = server->handshake();
  }
  return at_client == Transport::Status::done && at_server == Transport::Status::done;
}

TEST_CASE("a handshake for which OpenSSL has no memory fails, and nothing else") {
  REQUIRE(kCounts);
  Contexts contexts;
  REQUIRE(shakes_hands(contexts));
  for (TlsContext* context : {contexts.client.get(), contexts.server.get()}) {
    Begun whole = begin(*context, Refuse::none, 0);
    REQUIRE(whole.status == Transport::Status::again);
    REQUIRE(whole.allocations > 5);
    for (Refuse how : {Refuse::one, Refuse::all_after}) {
      int failed = 0;
      for (int from = 0; from < whole.allocations; ++from) {
        INFO(from << " of " << whole.allocations);
        Begun begun = begin(*context, how, from);
        if (begun.status != Transport::Status::failed) continue;
        failed += 1;
        CHECK_FALSE(begun.error.empty());
      }
      CHECK(failed > whole.allocations / 2);
    }
  }
  CHECK(shakes_hands(contexts));
}

// OpenSSL's allocations while each end writes and reads a record.
int allocations_of_a_round(Transport& one, Transport& other) {
  allocations = 0;
  for (Transport* from : {&one, &other}) {
    std::uint8_t bytes[64] = {};
    iovec part{bytes, sizeof bytes};
    REQUIRE(from->write({&part, 1}).bytes == sizeof bytes);
    REQUIRE((from == &one ? other : one).read(bytes).bytes == sizeof bytes);
  }
  return allocations;
}

TEST_CASE(
    "A session that keeps its memory asks for no buffer by record, and one at rest has none") {
  Contexts contexts;
  Sockets sockets;
  auto client = contexts.client->make(sockets.ends[0]);
  auto server = contexts.server->make(sockets.ends[1]);
  for (int turn = 0; turn < 10; ++turn) client->handshake(), server->handshake();
  auto keep = [&](bool on) {
    for (auto* each : {client.get(), server.get()}) each->keep_memory(on);
  };
  allocations_of_a_round(*client, *server);
  int at_rest = allocations_of_a_round(*client, *server);
  keep(true);
  allocations_of_a_round(*client, *server);
  // A buffer for each of two records that are written and read; of those, OpenSSL from 3.2 on asks
  // for two in any case.
  CHECK(allocations_of_a_round(*client, *server) ==
        at_rest - (OpenSSL_version_num() < 0x30200000L ? 4 : 2));
  keep(false);
  CHECK(allocations_of_a_round(*client, *server) == at_rest);
  CHECK(allocations_of_a_round(*client, *server) == at_rest);
}

}  // namespace
}  // namespace holdfast
