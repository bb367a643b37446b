// Certificates and keys out of PEM text, as OpenSSL's objects, owned.
#pragma once

#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

#include "common/tls/tls.h"

namespace holdfast::tls {

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
struct FreeCertificate {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using BioPtr = std::unique_ptr<BIO, FreeBio>;
using CertificatePtr = std::unique_ptr<X509, FreeCertificate>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeKey>;

struct PemCertificates {
  std::vector<CertificatePtr> found;  // up to the first that is broken
  std::string fault;                  // what follows the file's path in a message, or ""
};

// All certificates of the text; none at all is a fault.
PemCertificates read_certificates(const TlsPem& pem);
// The text's private key, or null; the fault is then kNoKey. One with a password is none: a daemon
// has nobody to ask.
KeyPtr read_key(const TlsPem& pem);
inline constexpr const char* kNoKey = "holds no private key (PEM), or one with a password";

// A point in time, for people.
std::string text_of(const ASN1_TIME* time);

}  // namespace holdfast::tls
