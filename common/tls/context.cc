// Who may talk to us: keys and certificates handed to OpenSSL.
#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <unordered_map>

#include "common/tls/internal.h"

namespace holdfast {
namespace tls {
namespace {

int proof_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

// What a context's callbacks look up. It belongs to the SSL_CTX, which lives as long as the last
// session made from it, so that a reload may drop a context while a handshake runs.
struct Secrets {
  std::unordered_map<std::string, TlsKey> keys;  // by id
  bool tickets = false;                          // at a server: they are given
};

int secrets_index() {
  static const int index = SSL_CTX_get_ex_new_index(
      0, nullptr, nullptr, nullptr, [](void*, void* secrets, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<Secrets*>(secrets);
      });
  return index;
}

const Secrets& secrets_of(SSL* ssl) {
  return *static_cast<const Secrets*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), secrets_index()));
}

// Makes room for them; false: there is no memory.
bool hold_secrets(SSL_CTX* context) {
  auto secrets = std::make_unique<Secrets>();
  if (SSL_CTX_set_ex_data(context, secrets_index(), secrets.get()) != 1) return false;
  static_cast<void>(secrets.release());
  return true;
}

void give_secrets(SSL_CTX* context, Secrets secrets) {
  *static_cast<Secrets*>(SSL_CTX_get_ex_data(context, secrets_index())) = std::move(secrets);
}

// The suites whose hash is SHA-256, which an external key is bound to (RFC 8446, 4.2.11).
constexpr char kSuites[] = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";
// A client sends a share of every group that it knows, and each knows X25519: whatever a server
// takes, no hello costs a retry. The first is X25519 with ML-KEM-768 beside it, which OpenSSL has
// from 3.5 on, as it has the asterisk (a share is sent).
constexpr char kHybridGroups[] = "*X25519MLKEM768:*X25519";
constexpr char kGroups[] = "X25519";
constexpr unsigned char kPskSuite[] = {0x13, 0x01};  // TLS_AES_128_GCM_SHA256

// Ids are 32 characters; OpenSSL's tickets have some hundred bytes at least.
constexpr std::size_t kMostIdBytes = 64;

// A TLS 1.3 session that stands for an external key.
SSL_SESSION* session_of(SSL* ssl, const unsigned char* key, std::size_t size) {
  const SSL_CIPHER* cipher = SSL_CIPHER_find(ssl, kPskSuite);
  SSL_SESSION* session = SSL_SESSION_new();
  bool good = cipher != nullptr && session != nullptr &&
              SSL_SESSION_set1_master_key(session, key, size) == 1 &&
              SSL_SESSION_set_cipher(session, cipher) == 1 &&
              SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1;
  if (good) return session;
  SSL_SESSION_free(session);
  return nullptr;
}

bool set_groups(SSL_CTX* context) {
  if (SSL_CTX_set1_groups_list(context, kHybridGroups) == 1) return true;
  ERR_clear_error();
  return SSL_CTX_set1_groups_list(context, kGroups) == 1;
}

Result<ContextPtr> make_context(const SSL_METHOD* method) {
  ContextPtr context(SSL_CTX_new(method));
  if (!context) return Error{"OpenSSL: " + last_error()};
  SSL_CTX* raw = context.get();
  bool good = SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION) == 1 &&
              SSL_CTX_set_max_proto_version(raw, TLS1_3_VERSION) == 1 &&
              SSL_CTX_set_ciphersuites(raw, kSuites) == 1 && set_groups(raw) &&
              SSL_CTX_set_num_tickets(raw, 0) == 1 && hold_secrets(raw);
  if (!good) return Error{"OpenSSL: " + last_error()};
  SSL_CTX_set_options(raw, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_clear_options(raw, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(raw, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);  // see keep_memory()
  return context;
}

// The same one, counted once more.
ContextPtr another(const ContextPtr& context) {
  SSL_CTX_up_ref(context.get());
  return ContextPtr(context.get());
}

// --- Client ---------------------------------------------------------------------------------

bool is_address(const std::string& name) {
  std::array<unsigned char, 16> address{};
  return inet_pton(AF_INET, name.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, name.c_str(), address.data()) == 1;
}

class ClientContext final : public TlsContext {
 public:
  // The context has its secrets.
  ClientContext(ContextPtr context, bool with_key, std::string server_name, std::string sni,
                std::uint64_t key_update_after)
      : context_(std::move(context)),
        with_key_(with_key),
        server_name_(std::move(server_name)),
        sni_(std::move(sni)),
        key_update_after_(key_update_after) {}

  std::unique_ptr<Transport> make(int descriptor) override { return make_for(descriptor, sni_); }
  std::unique_ptr<Transport> make_for(int descriptor, const std::string& sni) override;
  std::unique_ptr<TlsContext> share() const override {
    return std::make_unique<ClientContext>(another(context_), with_key_, server_name_, sni_,
                                           key_update_after_);
  }

  static int use_session(SSL* ssl, const EVP_MD*, const unsigned char** id, std::size_t* id_size,
                         SSL_SESSION** session) {
    const TlsKey& key = secrets_of(ssl).keys.begin()->second;
    *session = session_of(ssl, key.key.data(), key.key.size());
    if (*session == nullptr) return 0;
    *id = reinterpret_cast<const unsigned char*>(key.id.data());
    *id_size = key.id.size();
    return 1;
  }

 private:
  ContextPtr context_;
  bool with_key_;
  std::string server_name_;
  std::string sni_;
  std::uint64_t key_update_after_;
};

// What came is no TLS at all: it is read as a record of a version that never was.
bool is_no_tls(unsigned long error) {
  if (ERR_GET_LIB(error) != ERR_LIB_SSL) return false;
  switch (ERR_GET_REASON(error)) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
      return true;
    default:
      return false;
  }
}

std::string describe_client_failure(bool with_key, SSL*, const Proof& proof) {
  int alert = alert_of(ERR_peek_error());
  bool no_tls = is_no_tls(ERR_peek_error());
  std::string error = last_error();
  if (!proof.refused_certificate.empty()) return proof.refused_certificate;
  if (no_tls) {
    return "TLS handshake failed: " + error +
           " (what answers is another program, or a server with unsafe_plaintext = true)";
  }
  if (alert < 0) return "TLS handshake failed: " + error;
  if (with_key) {
    return "the server refused the handshake (" + error +
           "): it does not know this psk_file's key, or has another key for its id";
  }
  std::string words = certificate_alert(alert);
  return "the server " + (words.empty() ? "refused the handshake (" + error + ")" : words);
}

std::unique_ptr<Transport> ClientContext::make_for(int descriptor, const std::string& sni) {
  SslPtr ssl = new_session(context_.get(), SSL_set_connect_state);
  if (ssl != nullptr && !with_key_) {
    if (is_address(server_name_)) {
      X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), server_name_.c_str());
    } else {
      SSL_set1_host(ssl.get(), server_name_.c_str());
    }
  }
  if (ssl != nullptr && !sni.empty()) SSL_set_tlsext_host_name(ssl.get(), sni.c_str());
  if (ssl != nullptr && !with_key_) show_ticket(ssl.get());
  return make_transport(
      std::move(ssl), descriptor, {key_update_after_},
      [with_key = with_key_](SSL* session, const Proof& proof) {
        forget_ticket(session);  // if it was the ticket's fault, the next handshake is without
        return describe_client_failure(with_key, session, proof);
      },
      [](SSL*) { return Identified{}; });
}

// --- Server ---------------------------------------------------------------------------------

class ServerContext final : public TlsContext {
 public:
  using ClientOf = decltype(TlsServerOptions::client_of);

  // The context has its secrets.
  ServerContext(ContextPtr context, ClientOf client_of, const Renewal& renewal)
      : context_(std::move(context)), client_of_(std::move(client_of)), renewal_(renewal) {}

  std::unique_ptr<Transport> make(int descriptor) override;
  std::unique_ptr<TlsContext> share() const override {
    return std::make_unique<ServerContext>(another(context_), client_of_, renewal_);
  }

  // An unknown id gets a random key, so that it fails exactly as a wrong key does. What is far
  // longer than an id is a ticket, which OpenSSL looks at itself.
  static int find_session(SSL* ssl, const unsigned char* id, std::size_t id_size,
                          SSL_SESSION** session) {
    const auto& keys = secrets_of(ssl).keys;
    Proof& proof = proof_of(ssl);
    proof.claimed = true;
    proof.name.reset();
    proof.unknown_key = false;
    *session = nullptr;
    if (secrets_of(ssl).tickets && id_size > kMostIdBytes) return 1;
    SSL_set_num_tickets(ssl, 0);  // who has a key needs none
    auto found = keys.find(std::string(reinterpret_cast<const char*>(id), id_size));
    std::array<std::uint8_t, 32> dummy{};
    const std::uint8_t* key = dummy.data();
    if (found != keys.end()) {
      proof.name = found->second.name;
      key = found->second.key.data();
    } else {
      proof.unknown_key = true;
      if (RAND_bytes(dummy.data(), dummy.size()) != 1) return 0;
    }
    *session = session_of(ssl, key, dummy.size());
    OPENSSL_cleanse(dummy.data(), dummy.size());
    return *session == nullptr ? 0 : 1;
  }

 private:
  ContextPtr context_;
  ClientOf client_of_;
  Renewal renewal_;
};

std::string describe_server_failure(SSL*, const Proof& proof) {
  int alert = alert_of(ERR_peek_error());
  bool no_tls = is_no_tls(ERR_peek_error());
  std::string error = last_error();
  if (no_tls) {
    return "TLS handshake failed: " + error +
           " (another program, or a client with unsafe_plaintext = true)";
  }
  if (proof.unknown_key) return "no client has the key that was offered";
  if (proof.name) return "client " + *proof.name + " offered a wrong key (" + error + ")";
  if (!proof.refused_certificate.empty()) return proof.refused_certificate;
  std::string words = certificate_alert(alert);
  if (!words.empty()) return "the client " + words;
  return "TLS handshake failed: " + error;
}

std::unique_ptr<Transport> ServerContext::make(int descriptor) {
  auto client_of = client_of_;
  return make_transport(another(context_), descriptor, renewal_, describe_server_failure,
                        [client_of](SSL* session) -> Identified {
                          std::vector<std::string> names = dns_names(session);
                          auto client = client_of ? client_of(names) : std::nullopt;
                          if (client) return {client, ""};
                          if (names.empty()) return {client, "its certificate has no DNS name"};
                          return {client, "its certificate is for " + join_names(names) +
                                              ", which is no client of ours"};
                        });
}

}  // namespace

Proof& proof_of(SSL* ssl) {
  return *static_cast<Proof*>(SSL_get_ex_data(ssl, proof_index()));
}

void set_proof(SSL* ssl, Proof& proof) {
  SSL_set_ex_data(ssl, proof_index(), &proof);
}

SslPtr new_session(SSL_CTX* context, void (*set_role)(SSL*)) {
  ERR_clear_error();
  SslPtr ssl(SSL_new(context));
  if (ssl == nullptr) return ssl;
  set_role(ssl.get());
  // It returns nothing; without memory OpenSSL from 3.2 on leaves a session that crashes when used.
  if (ERR_peek_error() != 0) ssl.reset();
  return ssl;
}

std::string last_error() {
  unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "no reason given";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "error " + std::to_string(code);
}

}  // namespace tls

TlsKey::~TlsKey() {
  OPENSSL_cleanse(key.data(), key.size());
}

Result<std::unique_ptr<TlsContext>> make_tls_client(const TlsClientOptions& options) {
  HOLDFAST_CHECK(options.key.has_value() != options.files.has_value());
  auto context = tls::make_context(TLS_client_method());
  if (!context) return context.error();
  if (options.key) {
    SSL_CTX_set_psk_use_session_callback(context->get(), tls::ClientContext::use_session);
    // The key proves the server; a certificate would prove nothing to us.
    SSL_CTX_set_verify(context->get(), SSL_VERIFY_PEER, nullptr);
  } else {
    auto used = tls::use_certificates(context->get(), *options.files);
    if (!used) return used.error();
    tls::verify_peer(context->get());
    if (!tls::keep_tickets(context->get())) return Error{"OpenSSL: " + tls::last_error()};
  }
  tls::Secrets secrets;
  if (options.key) secrets.keys.emplace(options.key->id, *options.key);
  tls::give_secrets(context->get(), std::move(secrets));
  bool named = options.files && !tls::is_address(options.server_name);
  std::string sni = options.sni.value_or(named ? options.server_name : "");
  return std::unique_ptr<TlsContext>(std::make_unique<tls::ClientContext>(
      std::move(*context), options.key.has_value(), options.server_name, std::move(sni),
      options.key_update_after));
}

Result<std::unique_ptr<TlsContext>> make_tls_server(const TlsServerOptions& options) {
  auto context = tls::make_context(TLS_server_method());
  if (!context) return context.error();
  // Also where there is no key: who offers one is told from who offers nothing.
  SSL_CTX_set_psk_find_session_callback(context->get(), tls::ServerContext::find_session);
  if (options.files) {
    auto used = tls::use_certificates(context->get(), *options.files);
    if (!used) return used.error();
    tls::verify_peer(context->get());
    // OpenSSL refuses to take a key or a ticket beside certificates without one.
    constexpr unsigned char kSessionContext[] = "holdfast";
    SSL_CTX_set_session_id_context(context->get(), kSessionContext, sizeof kSessionContext - 1);
    tls::give_tickets(context->get());
  }
  tls::Secrets secrets;
  secrets.tickets = options.files.has_value();
  for (const TlsKey& key : options.keys) secrets.keys.emplace(key.id, key);
  tls::give_secrets(context->get(), std::move(secrets));
  return std::unique_ptr<TlsContext>(std::make_unique<tls::ServerContext>(
      std::move(*context), options.client_of,
      tls::Renewal{options.key_update_after, options.ticket_after}));
}

TransportFactory transport_factory(TlsContext* context) {
  if (context == nullptr) return make_plain_transport;
  return [context](int descriptor) { return context->make(descriptor); };
}

std::function<std::unique_ptr<Transport>(int, const std::string&)> dial_factory(
    TlsContext* context) {
  if (context == nullptr) {
    return [](int descriptor, const std::string&) { return make_plain_transport(descriptor); };
  }
  return [context](int descriptor, const std::string& sni) {
    return sni.empty() ? context->make(descriptor) : context->make_for(descriptor, sni);
  };
}

}  // namespace holdfast
