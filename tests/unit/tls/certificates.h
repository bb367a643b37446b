// Certificates made on the spot, for tests of TLS: a CA and what it signs.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

namespace holdfast::test {

struct Issued {
  std::string certificate;  // PEM
  std::string key;          // PEM
};

struct CertificateWish {
  std::string common_name = "somebody";
  std::string alternative_names;  // as in subjectAltName=..., or empty for none
  long starts_in_s = -60;
  long ends_in_s = 3600;
};

class Authority {
 public:
  Authority() : key_(EVP_EC_gen("P-256")), certificate_(X509_new()) {
    fill(certificate_.get(), {"Test CA", "", -60, 3600}, key_.get(), certificate_.get());
    add(certificate_.get(), NID_basic_constraints, "critical,CA:TRUE");
    X509_sign(certificate_.get(), key_.get(), EVP_sha256());
  }

  std::string certificate() const { return text_of(certificate_.get()); }

  Issued issue(const CertificateWish& wish) const {
    std::unique_ptr<EVP_PKEY, Free> key(EVP_EC_gen("P-256"));
    std::unique_ptr<X509, Free> made(X509_new());
    fill(made.get(), wish, key.get(), certificate_.get());
    if (!wish.alternative_names.empty()) {
      add(made.get(), NID_subject_alt_name, wish.alternative_names.c_str());
    }
    X509_sign(made.get(), key_.get(), EVP_sha256());
    return {text_of(made.get()), key_text(key.get())};
  }

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(X509* certificate) const { X509_free(certificate); }
    void operator()(BIO* bio) const { BIO_free(bio); }
  };

  static void fill(X509* made, const CertificateWish& wish, EVP_PKEY* key, X509* issuer) {
    static long serial = 0;
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(made), wish.starts_in_s);
    X509_gmtime_adj(X509_getm_notAfter(made), wish.ends_in_s);
    X509_set_pubkey(made, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(wish.common_name.c_str()), -1,
                               -1, 0);
    X509_set_issuer_name(made, X509_get_subject_name(issuer));
  }

  static void add(X509* made, int kind, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value);
    X509_add_ext(made, extension, -1);
    X509_EXTENSION_free(extension);
  }

  static std::string drain(BIO* bio) {
    char* data = nullptr;
    long size = BIO_get_mem_data(bio, &data);
    return std::string(data, static_cast<std::size_t>(size));
  }
  static std::string text_of(X509* certificate) {
    std::unique_ptr<BIO, Free> bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio.get(), certificate);
    return drain(bio.get());
  }
  static std::string key_text(EVP_PKEY* key) {
    std::unique_ptr<BIO, Free> bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    return drain(bio.get());
  }

  std::unique_ptr<EVP_PKEY, Free> key_;
  std::unique_ptr<X509, Free> certificate_;
};

}  // namespace holdfast::test
