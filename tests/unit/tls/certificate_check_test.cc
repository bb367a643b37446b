// An agent's own TLS files, looked at before it runs.
#include "common/tls/certificate_check.h"

#include "tests/catch.h"
#include "tests/unit/tls/certificates.h"

using namespace holdfast;
using holdfast::test::Authority;
using holdfast::test::CertificateWish;
using holdfast::test::Issued;
using File = CertificateFault::File;

namespace {

constexpr long kDay = 24 * 3600;

struct Files {
  Authority ca;
  Issued own;
  std::string ca_text = ca.certificate();

  explicit Files(long starts_in_s = -60, long ends_in_s = 365 * kDay)
      : own(ca.issue({"edge-1", "DNS:edge-1", starts_in_s, ends_in_s})) {}

  // "error|warning FILE REASON" of each.
  std::vector<std::string> faults() const {
    CertificateFiles files{TlsPem{"ca.pem", ca_text}, TlsPem{"own.pem", own.certificate},
                           TlsPem{"own.key", own.key}};
    std::vector<std::string> lines;
    for (const CertificateFault& fault : check_certificate_files(files, std::time(nullptr))) {
      const char* names[] = {"ca", "certificate", "key"};
      lines.push_back(std::string(fault.warning ? "warning " : "error ") +
                      names[static_cast<std::size_t>(fault.file)] + " " + fault.reason);
    }
    return lines;
  }
};

using Lines = std::vector<std::string>;

bool one_line_starts(const Lines& lines, const std::string& start) {
  return lines.size() == 1 && lines.front().rfind(start, 0) == 0;
}

}  // namespace

TEST_CASE("files that belong together and are valid have no fault") {
  CHECK(Files().faults().empty());
}

TEST_CASE("text that is no PEM is named, each file once") {
  Files files;
  files.ca_text = "nothing of the kind";
  files.own.certificate = std::string(300, '\0');
  files.own.key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
  CHECK(files.faults() == Lines{"error ca ca.pem holds no certificate (PEM)",
                                "error certificate own.pem holds no certificate (PEM)",
                                "error key own.key holds no private key (PEM), or one with a "
                                "password"});
}

TEST_CASE("garbage behind a good certificate is seen, and where") {
  Files files;
  std::string broken = files.ca_text;
  broken.replace(broken.find('\n') + 20, 8, "########");
  files.ca_text += broken;
  CHECK(files.faults() == Lines{"error ca ca.pem is broken at certificate 2 (PEM)"});
  files.ca_text = broken;
  CHECK(files.faults() == Lines{"error ca ca.pem is broken at certificate 1 (PEM)"});
  files.ca_text = files.ca.certificate().substr(0, 200);
  CHECK(files.faults() == Lines{"error ca ca.pem is broken at certificate 1 (PEM)"});
}

TEST_CASE("a key in the place of a certificate holds none") {
  Files files;
  files.ca_text = files.own.key;
  CHECK(files.faults() == Lines{"error ca ca.pem holds no certificate (PEM)"});
}

TEST_CASE("a key of another certificate is told from no key") {
  Files files;
  files.own.key = files.ca.issue({}).key;
  CHECK(files.faults() == Lines{"error key own.key is not the key of own.pem"});
}

TEST_CASE("a certificate outside its time is an error that tells when") {
  CHECK(one_line_starts(Files(-2 * kDay, -kDay).faults(), "error certificate own.pem expired on "));
  CHECK(one_line_starts(Files(kDay, 2 * kDay).faults(),
                        "error certificate own.pem is not valid before "));
}

TEST_CASE("a certificate that ends within two weeks is warned of, a longer one not") {
  CHECK(one_line_starts(Files(-60, 13 * kDay).faults(), "warning certificate own.pem expires on "));
  CHECK(Files(-60, 15 * kDay).faults().empty());
}

TEST_CASE("files that are absent are passed over") {
  Files files;
  CertificateFiles only_key{std::nullopt, std::nullopt, TlsPem{"own.key", files.own.key}};
  CHECK(check_certificate_files(only_key, std::time(nullptr)).empty());
  CHECK(check_certificate_files({}, std::time(nullptr)).empty());
}
