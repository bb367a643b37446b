// Whether an agent's own TLS files can be used, before anything is run with them.
#pragma once

#include <cstdint>
#include <ctime>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/tls/tls.h"

namespace holdfast {

// A certificate that ends sooner than this is warned of: time to renew it by hand.
inline constexpr std::time_t kRenewalDays = 14;

struct CertificateFault {
  enum class File : std::uint8_t { ca, certificate, key };
  File file{};
  bool warning = false;  // it can be used
  std::string reason;    // starts with the path
  std::string hint;      // may be empty
};

// Any of the files may be absent, as when it could not be read: then nothing is said of it.
struct CertificateFiles {
  std::optional<TlsPem> ca;
  std::optional<TlsPem> certificate;
  std::optional<TlsPem> key;
};

// Everything that is wrong, at the time `now`: text that is no PEM, a key of another certificate,
// an own certificate that is not valid now or ends soon, a CA that has expired.
std::vector<CertificateFault> check_certificate_files(const CertificateFiles& files,
                                                      std::time_t now);

// When the first certificate of the text ends, in seconds since the epoch; nothing when it has
// none.
std::optional<std::int64_t> end_of_certificates(const TlsPem& pem);
// Of the files that a config names, by its key.
using CertificateEnds = std::map<std::string, std::int64_t>;

}  // namespace holdfast
