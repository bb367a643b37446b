// Certificates handed to OpenSSL, and what it says of the peer's, in words.
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "common/tls/internal.h"
#include "common/tls/pem.h"

namespace holdfast::tls {
namespace {

// A client's chain: a few certificates. OpenSSL's own bound is 100 KiB.
constexpr long kMaxChainBytes = 16 * 1024;

Error unusable(const TlsPem& pem, const std::string& what) {
  return Error{pem.path + " " + what};
}

Status use_ca(SSL_CTX* context, const TlsPem& pem) {
  PemCertificates trusted = read_certificates(pem);
  if (!trusted.fault.empty()) return unusable(pem, trusted.fault);
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (const CertificatePtr& each : trusted.found) {
    if (X509_STORE_add_cert(store, each.get()) != 1) {
      return unusable(pem, "cannot be used as ca_file: " + last_error());
    }
  }
  return Ok{};
}

Status use_chain(SSL_CTX* context, const TlsPem& pem) {
  PemCertificates read = read_certificates(pem);
  if (!read.fault.empty()) return unusable(pem, read.fault);
  const std::vector<CertificatePtr>& chain = read.found;
  if (SSL_CTX_use_certificate(context, chain.front().get()) != 1) {
    return unusable(pem, "cannot be used as cert_file: " + last_error());
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) {
      return unusable(pem, "cannot be used as cert_file: " + last_error());
    }
  }
  return Ok{};
}

Status use_key(SSL_CTX* context, const TlsPem& pem, const TlsPem& certificate) {
  KeyPtr key = read_key(pem);
  if (!key) return unusable(pem, kNoKey);
  // This also holds it against the certificate.
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    ERR_clear_error();
    return unusable(pem, "is not the key of " + certificate.path);
  }
  return Ok{};
}

std::vector<std::string> dns_names_of(X509* certificate) {
  std::vector<std::string> names;
  auto* entries = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; entries != nullptr && i < sk_GENERAL_NAME_num(entries); ++i) {
    const GENERAL_NAME* entry = sk_GENERAL_NAME_value(entries, i);
    if (entry->type != GEN_DNS) continue;
    const ASN1_STRING* text = entry->d.dNSName;
    std::string name(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                     static_cast<std::size_t>(ASN1_STRING_length(text)));
    // A zero byte inside would make two readers see two names.
    if (name.find('\0') == std::string::npos) names.push_back(std::move(name));
  }
  GENERAL_NAMES_free(entries);
  return names;
}

// What a refused certificate is, for people: its names, else its subject.
std::string title_of(X509* certificate) {
  std::vector<std::string> names = dns_names_of(certificate);
  if (!names.empty()) return join_names(names);
  char subject[256] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, subject,
                            sizeof subject);
  return *subject != '\0' ? subject : "nobody";
}

std::string words_for(int error, X509* certificate) {
  std::string whose = "the certificate of " + title_of(certificate);
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return whose + " expired on " + text_of(X509_get0_notAfter(certificate));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return whose + " is not valid before " + text_of(X509_get0_notBefore(certificate)) +
             " (is a clock wrong?)";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return whose + " is for another name than server_name (or the first address in server)";
    case X509_V_ERR_INVALID_PURPOSE:
      return whose + " is not for this use (extendedKeyUsage)";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return whose + " is not from a CA in ca_file";
    default:
      return whose + " was not accepted: " + X509_verify_cert_error_string(error);
  }
}

// Notes the first thing that is wrong; accepts nothing by itself.
int note_failure(int good, X509_STORE_CTX* verification) {
  auto* ssl = static_cast<SSL*>(
      X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx()));
  Proof& proof = proof_of(ssl);
  proof.claimed = true;
  if (good == 1) return 1;
  X509* certificate = X509_STORE_CTX_get_current_cert(verification);
  if (proof.refused_certificate.empty() && certificate != nullptr) {
    proof.refused_certificate = words_for(X509_STORE_CTX_get_error(verification), certificate);
  }
  return 0;
}

}  // namespace

Status use_certificates(SSL_CTX* context, const TlsFiles& files) {
  if (auto used = use_ca(context, files.ca); !used) return used;
  if (auto used = use_chain(context, files.certificate); !used) return used;
  if (auto used = use_key(context, files.key, files.certificate); !used) return used;
  SSL_CTX_set_max_cert_list(context, kMaxChainBytes);
  return Ok{};
}

void verify_peer(SSL_CTX* context) {
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, note_failure);
}

std::vector<std::string> dns_names(SSL* ssl) {
  CertificatePtr certificate(SSL_get1_peer_certificate(ssl));
  return certificate ? dns_names_of(certificate.get()) : std::vector<std::string>();
}

std::string join_names(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 8;  // a certificate may have thousands
  std::string joined;
  for (std::size_t i = 0; i < names.size() && i < kMost; ++i) {
    joined += (i == 0 ? "" : ", ") + names[i].substr(0, 64);
  }
  return names.size() > kMost ? joined + ", ..." : joined;
}

int alert_of(unsigned long error) {
  int reason = ERR_GET_REASON(error);
  bool alert = ERR_GET_LIB(error) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET;
  return alert ? reason - SSL_AD_REASON_OFFSET : -1;
}

std::string certificate_alert(int alert) {
  switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
      return "refused our certificate (cert_file): it is not valid yet, or for another name";
    case SSL_AD_CERTIFICATE_EXPIRED:
      return "refused our certificate (cert_file): it has expired";
    case SSL_AD_CERTIFICATE_REVOKED:
      return "refused our certificate (cert_file): it was revoked";
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_DECRYPT_ERROR:  // a CA of the same name, but another one
      return "refused our certificate (cert_file): it is from a CA that is not in their ca_file";
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_UNKNOWN:
      return "refused our certificate (cert_file): it is not for this use";
    case SSL_AD_CERTIFICATE_REQUIRED:
      return "wants a certificate of ours";
    default:
      return "";
  }
}

}  // namespace holdfast::tls
