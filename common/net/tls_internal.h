// Shared by tls_context.cc and tls_transport.cc: OpenSSL's types, owned.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/net/tls.h"

namespace holdfast::tls {

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct FreeSession {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using ContextPtr = std::unique_ptr<SSL_CTX, FreeContext>;
using SslPtr = std::unique_ptr<SSL, FreeSession>;

// What the key or certificate proved, set while the handshake runs; good once it is done.
struct Proof {
  std::optional<std::string> name;
  bool unknown_key = false;  // no key has the id that was offered
};

// The Proof of a session's transport.
Proof& proof_of(SSL* ssl);
void set_proof(SSL* ssl, Proof& proof);

// The oldest error that OpenSSL noted on this thread, for people; empties the queue.
std::string last_error();

// A transport over `ssl`, whose side is set. `describe` turns a failed handshake into words.
std::unique_ptr<Transport> make_transport(SslPtr ssl, int descriptor,
                                          std::function<std::string(SSL*, const Proof&)> describe,
                                          std::function<std::optional<std::string>(SSL*)> identify);

}  // namespace holdfast::tls
