// Shared by context.cc and tls_transport.cc: OpenSSL's types, owned.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/check.h"
#include "common/tls/tls.h"

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
  bool claimed = false;             // a key's id or a certificate came
  bool unknown_key = false;         // no key has the id that was offered
  std::string refused_certificate;  // what is wrong with the peer's, for people
};

// The Proof of a session's transport.
Proof& proof_of(SSL* ssl);
void set_proof(SSL* ssl, Proof& proof);

// Certificates: whom to trust, who we are. The error names the file.
Status use_certificates(SSL_CTX* context, const TlsFiles& files);
// The peer must show a certificate that ca_file vouches for; what is wrong goes to its Proof.
void verify_peer(SSL_CTX* context);
// Tickets, at a server with certificates and at its clients; see tickets.cc.
void give_tickets(SSL_CTX* server);
bool keep_tickets(SSL_CTX* client);  // false: there is no memory
// The client's next handshake shows the ticket that is kept, if one is.
void show_ticket(SSL* ssl);
void forget_ticket(SSL* ssl);
// DNS names (SAN) of the peer's certificate; they are what it claims until the handshake is done.
std::vector<std::string> dns_names(SSL* ssl);
std::string join_names(const std::vector<std::string>& names);

// The alert that an error of OpenSSL stands for, or -1; and what one about a certificate of ours
// means, as words that follow "the server", or "".
int alert_of(unsigned long error);
std::string certificate_alert(int alert);

// The oldest error that OpenSSL noted on this thread, for people; empties the queue.
std::string last_error();

// Whom a certificate stands for, or why for nobody.
struct Identified {
  std::optional<std::string> client;
  std::string problem;
};

// A session in the role that SSL_set_connect_state or SSL_set_accept_state gives it; null: there is
// no memory for one.
SslPtr new_session(SSL_CTX* context, void (*set_role)(SSL*));

// Turns a failed handshake into words.
using Describe = std::function<std::string(SSL*, const Proof&)>;
using Identify = std::function<Identified(SSL*)>;

// When what a session began with is replaced.
struct Renewal {
  std::uint64_t key_after;  // bytes
  Duration ticket_after{};  // where tickets are given
};

// A client's, over `ssl`.
std::unique_ptr<Transport> make_transport(SslPtr ssl, int descriptor, const Renewal& renewal,
                                          Describe describe, Identify identify);
// A server's. The session is made from the context in the first handshake(): who says nothing costs
// no more than a socket.
std::unique_ptr<Transport> make_transport(ContextPtr context, int descriptor,
                                          const Renewal& renewal, Describe describe,
                                          Identify identify);

}  // namespace holdfast::tls
