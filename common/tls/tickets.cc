// Tickets (RFC 8446, 4.6.1): with certificates, a client that was let in proves itself with the
// very first message of its next handshake, as one with a key does.
//
// OpenSSL makes, encrypts and checks them, under a key that it draws for each context: a new
// context (a reload, a restart) knows no old ticket, and a client whose ticket is not known is
// asked for its certificate as if it had none. A ticket never outlives a certificate that it stands
// for.
#include <openssl/x509.h>

#include <mutex>

#include "common/tls/internal.h"

namespace holdfast::tls {
namespace {

// The most that TLS 1.3 allows.
constexpr long kTicketLife_s = 7 * 24 * 3600;

struct FreeTicket {
  void operator()(SSL_SESSION* ticket) const { SSL_SESSION_free(ticket); }
};
using TicketPtr = std::unique_ptr<SSL_SESSION, FreeTicket>;

// A client context's newest ticket; belongs to the SSL_CTX, which links of several loops may share.
struct Kept {
  std::mutex mutex;
  TicketPtr ticket;
};

int kept_index() {
  static const int index = SSL_CTX_get_ex_new_index(
      0, nullptr, nullptr, nullptr, [](void*, void* kept, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<Kept*>(kept);
      });
  return index;
}

Kept* kept_by(SSL_CTX* context) {
  return static_cast<Kept*>(SSL_CTX_get_ex_data(context, kept_index()));
}

bool valid_now(const X509* certificate) {
  return certificate != nullptr && X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0 &&
         X509_cmp_current_time(X509_get0_notBefore(certificate)) < 0;
}

// The server's: is the client's certificate still one to let in?
SSL_TICKET_RETURN judge(SSL*, SSL_SESSION* session, const unsigned char*, std::size_t,
                        SSL_TICKET_STATUS status, void*) {
  bool good = (status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW) &&
              session != nullptr && valid_now(SSL_SESSION_get0_peer(session));
  return good ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_IGNORE_RENEW;
}

// A copy: OpenSSL spoils the session of a connection that ends without a close, and a ticket is for
// just that case.
int keep(SSL* ssl, SSL_SESSION* ticket) {
  Kept* kept = kept_by(SSL_get_SSL_CTX(ssl));
  if (kept == nullptr) return 0;
  std::lock_guard lock(kept->mutex);
  kept->ticket.reset(SSL_SESSION_dup(ticket));
  return 0;  // the original stays theirs
}

}  // namespace

void give_tickets(SSL_CTX* context) {
  SSL_CTX_clear_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(context, 1);
  SSL_CTX_set_timeout(context, kTicketLife_s);
  SSL_CTX_set_session_ticket_cb(context, nullptr, judge, nullptr);
}

bool keep_tickets(SSL_CTX* context) {
  auto kept = std::make_unique<Kept>();
  if (SSL_CTX_set_ex_data(context, kept_index(), kept.get()) != 1) return false;
  static_cast<void>(kept.release());
  SSL_CTX_clear_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, keep);
  return true;
}

void show_ticket(SSL* ssl) {
  SSL_CTX* context = SSL_get_SSL_CTX(ssl);
  Kept* kept = kept_by(context);
  if (kept == nullptr) return;
  std::lock_guard lock(kept->mutex);
  if (kept->ticket == nullptr) return;
  bool good = valid_now(SSL_SESSION_get0_peer(kept->ticket.get())) &&
              valid_now(SSL_CTX_get0_certificate(context));
  // A copy here, too: another handshake may show the same one meanwhile.
  TicketPtr shown(good ? SSL_SESSION_dup(kept->ticket.get()) : nullptr);
  if (shown != nullptr && SSL_set_session(ssl, shown.get()) == 1) return;
  kept->ticket.reset();
}

void forget_ticket(SSL* ssl) {
  Kept* kept = kept_by(SSL_get_SSL_CTX(ssl));
  if (kept == nullptr) return;
  std::lock_guard lock(kept->mutex);
  kept->ticket.reset();
}

}  // namespace holdfast::tls
