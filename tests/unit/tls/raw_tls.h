// A TLS 1.3 peer by OpenSSL alone, for tests of our transports: it counts what it sees of their
// handshake messages, and can say what no decent peer says.
#pragma once

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/unit/socket_pair.h"
#include "tests/unit/tls/certificates.h"

namespace holdfast::test {

// Their buffers are small, so that writes are cut short.
struct TightSockets : Sockets {
  TightSockets() {
    int size = 4096;
    for (int end : ends) {
      REQUIRE(setsockopt(end, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
    }
  }
};

class RawTls {
 public:
  enum class Role { client, server };

  RawTls(Role role, int descriptor, const Issued& own)
      : descriptor_(descriptor), context_(SSL_CTX_new(TLS_method())) {
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_3_VERSION);
    SSL_CTX_set_ciphersuites(context_.get(), "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_num_tickets(context_.get(), 0);
    SSL_CTX_clear_options(context_.get(), SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
    SSL_CTX_set_keylog_callback(context_.get(), keep_secret);
    std::unique_ptr<BIO, Free> certificate(BIO_new_mem_buf(own.certificate.data(), -1));
    std::unique_ptr<BIO, Free> key(BIO_new_mem_buf(own.key.data(), -1));
    std::unique_ptr<X509, Free> x509(
        PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr));
    std::unique_ptr<EVP_PKEY, Free> private_key(
        PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr));
    REQUIRE(SSL_CTX_use_certificate(context_.get(), x509.get()) == 1);
    REQUIRE(SSL_CTX_use_PrivateKey(context_.get(), private_key.get()) == 1);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_mode(ssl_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_app_data(ssl_.get(), this);
    SSL_set_msg_callback(ssl_.get(), note);
    SSL_set_msg_callback_arg(ssl_.get(), this);
    SSL_set_fd(ssl_.get(), descriptor);
    if (role == Role::client) {
      SSL_set_connect_state(ssl_.get());
    } else {
      SSL_set_accept_state(ssl_.get());
    }
  }

  bool handshake() { return SSL_do_handshake(ssl_.get()) == 1; }
  // Bytes taken or given, or 0 for now.
  std::size_t write(const std::uint8_t* data, std::size_t size) {
    int result = SSL_write(ssl_.get(), data, static_cast<int>(size));
    return result > 0 ? static_cast<std::size_t>(result) : 0;
  }
  std::size_t read(std::uint8_t* data, std::size_t size) {
    int result = SSL_read(ssl_.get(), data, static_cast<int>(size));
    return result > 0 ? static_cast<std::size_t>(result) : 0;
  }
  // Goes with the next write. Asking for an answer, or not.
  void update_key(bool ask) {
    SSL_key_update(ssl_.get(), ask ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
  }

  // KeyUpdate messages seen from the other side, and sent to it.
  std::size_t updates_seen() const { return seen_; }
  std::size_t updates_sent() const { return sent_; }

  // A client's record under its first traffic key, encrypted here: `content` and its type. Nothing
  // may have been written through OpenSSL before it.
  void forge(std::uint8_t type, std::vector<std::uint8_t> content) {
    content.push_back(type);
    auto key = expand("key", 16);
    auto nonce = expand("iv", 12);
    nonce[11] = static_cast<std::uint8_t>(nonce[11] ^ forged_++);
    std::size_t size = content.size() + 16;
    std::vector<std::uint8_t> record(5 + size);
    record[0] = 23;
    record[1] = record[2] = 3;
    record[4] = static_cast<std::uint8_t>(size);
    std::unique_ptr<EVP_CIPHER_CTX, Free> cipher(EVP_CIPHER_CTX_new());
    int used = 0;
    REQUIRE(EVP_EncryptInit(cipher.get(), EVP_aes_128_gcm(), key.data(), nonce.data()) == 1);
    EVP_EncryptUpdate(cipher.get(), nullptr, &used, record.data(), 5);
    EVP_EncryptUpdate(cipher.get(), record.data() + 5, &used, content.data(),
                      static_cast<int>(content.size()));
    EVP_EncryptFinal(cipher.get(), record.data() + 5 + used, &used);
    EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, 16, record.data() + 5 + content.size());
    REQUIRE(::write(descriptor_, record.data(), record.size()) ==
            static_cast<ssize_t>(record.size()));
  }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(BIO* bio) const { BIO_free(bio); }
    void operator()(X509* certificate) const { X509_free(certificate); }
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(EVP_CIPHER_CTX* cipher) const { EVP_CIPHER_CTX_free(cipher); }
    void operator()(EVP_KDF* kdf) const { EVP_KDF_free(kdf); }
    void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
  };

  static void note(int written, int, int content, const void* data, std::size_t size, SSL*,
                   void* self) {
    if (content != SSL3_RT_HANDSHAKE || size == 0) return;
    if (*static_cast<const std::uint8_t*>(data) != SSL3_MT_KEY_UPDATE) return;
    auto* peer = static_cast<RawTls*>(self);
    (written != 0 ? peer->sent_ : peer->seen_) += 1;
  }

  static void keep_secret(const SSL* ssl, const char* line) {
    std::string text = line;
    if (text.rfind("CLIENT_TRAFFIC_SECRET_0 ", 0) != 0) return;
    std::string digits = text.substr(text.rfind(' ') + 1);
    auto* peer = static_cast<RawTls*>(SSL_get_app_data(ssl));
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
      peer->secret_.push_back(
          static_cast<std::uint8_t>(std::stoul(digits.substr(i, 2), nullptr, 16)));
    }
  }

  // HKDF-Expand-Label (RFC 8446, 7.1).
  std::vector<std::uint8_t> expand(std::string label, std::size_t size) {
    std::unique_ptr<EVP_KDF, Free> kdf(EVP_KDF_fetch(nullptr, "TLS13-KDF", nullptr));
    std::unique_ptr<EVP_KDF_CTX, Free> context(EVP_KDF_CTX_new(kdf.get()));
    std::string prefix = "tls13 ";
    char digest[] = "SHA256";
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret_.data(), secret_.size()),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, prefix.data(), prefix.size()),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, label.data(), label.size()),
        OSSL_PARAM_construct_end()};
    std::vector<std::uint8_t> out(size);
    REQUIRE(EVP_KDF_derive(context.get(), out.data(), out.size(), parameters) == 1);
    return out;
  }

  int descriptor_;
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> ssl_;
  std::vector<std::uint8_t> secret_;
  std::uint8_t forged_ = 0;
  std::size_t seen_ = 0;
  std::size_t sent_ = 0;
};

}  // namespace holdfast::test
