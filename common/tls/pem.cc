#include "common/tls/pem.h"

#include <openssl/err.h>

#include "common/base/check.h"

namespace holdfast::tls {
namespace {

int no_password(char*, int, int, void*) {
  return -1;
}

// Null: there is no memory.
BioPtr reader_of(const TlsPem& pem) {
  return BioPtr(BIO_new_mem_buf(pem.text.data(), static_cast<int>(pem.text.size())));
}

// Whether the reader stopped at the end, and not at something it could not read.
bool at_the_end() {
  unsigned long error = ERR_peek_last_error();
  return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

}  // namespace

PemCertificates read_certificates(const TlsPem& pem) {
  PemCertificates read;
  BioPtr bio = reader_of(pem);
  if (!bio) {
    read.fault = "cannot be read: OpenSSL has no memory";
    return read;
  }
  ERR_clear_error();
  while (X509* next = PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr)) {
    read.found.emplace_back(next);
  }
  if (!at_the_end()) {
    read.fault = "is broken at certificate " + std::to_string(read.found.size() + 1) + " (PEM)";
  } else if (read.found.empty()) {
    read.fault = "holds no certificate (PEM)";
  }
  ERR_clear_error();
  return read;
}

KeyPtr read_key(const TlsPem& pem) {
  BioPtr bio = reader_of(pem);
  if (!bio) return nullptr;
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  return key;
}

std::string text_of(const ASN1_TIME* time) {
  BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio || ASN1_TIME_print(bio.get(), time) != 1) return "an unreadable time";
  char* data = nullptr;
  long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

}  // namespace holdfast::tls
