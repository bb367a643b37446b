// From the secrets that a config names to the TLS context that carriers are made with.
#pragma once

#include <memory>

#include "common/config/config.h"
#include "common/config/report.h"
#include "common/net/tls.h"

namespace holdfast {

// The context for a link's (a server's) keys and certificates; `name` is the client's own. Nothing
// with unsafe_plaintext. The error names the file. What was read of a key is overwritten before
// this returns; only OpenSSL and the context hold it then.
Result<std::unique_ptr<TlsContext>> client_tls(const std::string& name,
                                               const ClientLinkConfig& link);
Result<std::unique_ptr<TlsContext>> server_tls(const ServerConfig& config);

// What is wrong with the certificates and keys that the tables of the config `file` name, each at
// its line: see certificate_check.h. Files that cannot be read are left out: loading reports them.
std::vector<Problem> check_certificates(const std::vector<TlsTable>& tables,
                                        const std::string& file);

// Carriers of this context, which must outlive the factory; plain ones without a context.
TransportFactory transport_factory(const std::unique_ptr<TlsContext>& context);

// No core dump of this process, and no other process of the same user may read its memory
// (prctl(2), PR_SET_DUMPABLE): it holds keys.
void protect_memory();

}  // namespace holdfast
