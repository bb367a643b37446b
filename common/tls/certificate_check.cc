#include "common/tls/certificate_check.h"

#include <openssl/err.h>

#include <algorithm>

#include "common/tls/pem.h"

namespace holdfast {
namespace {

using tls::CertificatePtr;
using File = CertificateFault::File;

constexpr std::time_t kDay = 24 * 3600;

class Check {
 public:
  explicit Check(std::time_t now) : now_(now) {}

  void ca(const TlsPem& pem) {
    auto read = certificates(pem, File::ca, "it is the text from BEGIN to END CERTIFICATE");
    for (const CertificatePtr& each : read) {
      if (!ended_by(each.get(), now_)) continue;
      warn(File::ca, pem.path + " has a CA that expired on " + end_of(each.get()),
           "what it signed is refused");
    }
  }

  // The own one, which is the first; null when there is none.
  CertificatePtr own(const TlsPem& pem) {
    auto read = certificates(pem, File::certificate, "our own certificate comes first");
    if (read.empty()) return nullptr;
    X509* own = read.front().get();
    std::time_t at = now_;
    const std::string renew = "sign a new one with the same CA";
    if (X509_cmp_time(X509_get0_notBefore(own), &at) > 0) {
      refuse(File::certificate,
             pem.path + " is not valid before " + tls::text_of(X509_get0_notBefore(own)),
             "is this machine's clock right?");
    } else if (ended_by(own, now_)) {
      refuse(File::certificate, pem.path + " expired on " + end_of(own), renew);
    } else if (ended_by(own, now_ + kRenewalDays * kDay)) {
      warn(File::certificate, pem.path + " expires on " + end_of(own), renew + " in time");
    }
    return std::move(read.front());
  }

  void key(const TlsPem& pem, X509* own, const std::string& own_path) {
    tls::KeyPtr key = tls::read_key(pem);
    if (!key) return refuse(File::key, pem.path + " " + tls::kNoKey, "");
    if (own != nullptr && X509_check_private_key(own, key.get()) != 1) {
      refuse(File::key, pem.path + " is not the key of " + own_path,
             "cert_file and key_file are made together");
    }
    ERR_clear_error();
  }

  std::vector<CertificateFault> take() { return std::move(faults_); }

 private:
  std::vector<CertificatePtr> certificates(const TlsPem& pem, File file, const std::string& hint) {
    tls::PemCertificates read = tls::read_certificates(pem);
    if (!read.fault.empty()) refuse(file, pem.path + " " + read.fault, hint);
    return std::move(read.found);
  }

  static bool ended_by(X509* certificate, std::time_t at) {
    return X509_cmp_time(X509_get0_notAfter(certificate), &at) <= 0;
  }
  static std::string end_of(X509* certificate) {
    return tls::text_of(X509_get0_notAfter(certificate));
  }

  void refuse(File file, std::string reason, std::string hint) {
    faults_.push_back({file, false, std::move(reason), std::move(hint)});
  }
  void warn(File file, std::string reason, std::string hint) {
    faults_.push_back({file, true, std::move(reason), std::move(hint)});
  }

  std::time_t now_;
  std::vector<CertificateFault> faults_;
};

// Never negative: what cannot be read has ended long ago.
std::int64_t epoch_of(const ASN1_TIME* time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? static_cast<std::int64_t>(timegm(&parts)) : 0;
}

}  // namespace

std::optional<std::int64_t> end_of_certificates(const TlsPem& pem) {
  std::optional<std::int64_t> first;
  for (const CertificatePtr& each : tls::read_certificates(pem).found) {
    std::int64_t end = epoch_of(X509_get0_notAfter(each.get()));
    first = std::min(first.value_or(end), end);
  }
  return first;
}

std::vector<CertificateFault> check_certificate_files(const CertificateFiles& files,
                                                      std::time_t now) {
  Check check(now);
  CertificatePtr own;
  if (files.ca) check.ca(*files.ca);
  if (files.certificate) own = check.own(*files.certificate);
  if (files.key) {
    check.key(*files.key, own.get(), files.certificate ? files.certificate->path : "");
  }
  return check.take();
}

}  // namespace holdfast
