// From the secrets that a config names to the TLS contexts that carriers are made with.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/config/config.h"
#include "common/config/report.h"
#include "common/tls/certificate_check.h"
#include "common/tls/tls.h"

namespace holdfast {

// What the files hold that a config's keys name, told without any secret: a pre-shared key's id, a
// mark of a certificate's text. Two loads that differ here read other files.
using CredentialMarks = std::map<std::string, std::string>;  // by the config's key

struct ClientCredentials {
  std::map<std::string, std::unique_ptr<TlsContext>> tls;  // by [links.NAME]; null: plaintext
  CredentialMarks marks;
  CertificateEnds ends;
  bool any() const;
};

struct ServerCredentials {
  std::unique_ptr<TlsContext> tls;             // null: plaintext
  std::map<std::string, std::string> key_ids;  // of clients with a pre-shared key, by client
  CredentialMarks marks;
  CertificateEnds ends;
  bool any() const { return tls != nullptr; }
};

// The error names the file. What was read of a key is overwritten before this returns; only
// OpenSSL and the contexts hold it then.
Result<ClientCredentials> load_credentials(const ClientConfig& config);
Result<ServerCredentials> load_credentials(const ServerConfig& config);

// What is wrong with the certificates and keys that the tables of the config `file` name, each at
// its line: see certificate_check.h. Files that cannot be read are left out: loading reports them.
std::vector<Problem> check_certificates(const std::vector<TlsTable>& tables,
                                        const std::string& file);

// Whole days from now to a time since the epoch; none once it is past.
std::int64_t days_until(std::int64_t epoch_s);

// No core dump of this process, and no other process of the same user may read its memory
// (prctl(2), PR_SET_DUMPABLE): it holds keys.
void protect_memory();

}  // namespace holdfast
