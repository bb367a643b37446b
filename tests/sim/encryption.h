// Encryption: TLS contexts for worlds, a pre-shared key for each client. Making them costs more
// than a handshake does, so that one may serve many worlds in turn.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "common/tls/tls.h"

namespace holdfast::sim {

class Encryption {
 public:
  Encryption();
  ~Encryption();
  Encryption(const Encryption&) = delete;
  Encryption& operator=(const Encryption&) = delete;

  // For an agent, which owns its context: a view of the shared one.
  std::unique_ptr<TlsContext> server();
  // By its name; a clone has its original's.
  std::unique_ptr<TlsContext> client(const std::string& name);

 private:
  std::unique_ptr<TlsContext> server_;
  std::map<std::string, std::unique_ptr<TlsContext>> clients_;
};

}  // namespace holdfast::sim
