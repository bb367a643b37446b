// TLS 1.3 for carriers, by OpenSSL 3: who may talk to us, and as whom.
//
// Pre-shared keys with ephemeral key exchange (RFC 8446, 2.2 and 4.2.9), or certificates, or at a
// server both. TLS 1.3 only; keys are exchanged by X25519 with ML-KEM-768 beside it where both
// ends' OpenSSL has that (3.5), else by X25519, and no hello is answered by a retry; no early data.
// A key's id is what travels in clear, not the client's name. A client that was let in by
// certificate keeps a ticket of the server's, and shows itself by it at its next handshake.
//
// Contexts are made once from loaded secrets and make one transport a carrier. Replacing a context
// (a reload) leaves standing carriers alone.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/base/time.h"
#include "common/tls/transport.h"

namespace holdfast {

// Bytes of records that a side writes under one key before it changes to a new one and asks the
// other to do so (KeyUpdate, RFC 8446, 4.6.3): a sixth of AES-GCM's limit of 2^24.5 full records
// (5.5).
inline constexpr std::uint64_t kDefaultKeyUpdateAfter = UINT64_C(64) << 30;

// How often a server with certificates renews the ticket of a carrier that stands: TLS lets none be
// older than seven days.
inline constexpr Duration kDefaultTicketAfter = seconds(24 * 3600);

// One pre-shared key. Every copy overwrites its key at its end.
struct TlsKey {
  std::string id;    // on the wire
  std::string name;  // at a server: the client that it proves
  std::array<std::uint8_t, 32> key{};

  TlsKey() = default;
  TlsKey(const TlsKey&) = default;
  TlsKey& operator=(const TlsKey&) = default;
  ~TlsKey();
};

// The text of a file, and its path for messages.
struct TlsPem {
  std::string path;
  std::string text;
};

struct TlsFiles {
  TlsPem ca;           // whom to trust
  TlsPem certificate;  // our chain, our own first
  TlsPem key;          // without a password; the caller overwrites it after use
};

struct TlsClientOptions {
  std::optional<TlsKey> key;  // exactly one of key and files
  std::optional<TlsFiles> files;
  std::string server_name;  // with files: the name or address the server must prove
  // What a hello says of whom it is for, in clear; empty: nothing. Not set: with files server_name
  // where that is no address, with a key nothing.
  std::optional<std::string> sni{};
  std::uint64_t key_update_after = kDefaultKeyUpdateAfter;  // bytes
};

struct TlsServerOptions {
  std::vector<TlsKey> keys;
  std::optional<TlsFiles> files;
  // With files: the client that a certificate's DNS names (SAN) stand for, or none.
  std::function<std::optional<std::string>(const std::vector<std::string>&)> client_of;
  std::uint64_t key_update_after = kDefaultKeyUpdateAfter;  // bytes
  Duration ticket_after = kDefaultTicketAfter;
};

class TlsContext {
 public:
  virtual ~TlsContext() = default;
  // The descriptor is connected and non-blocking; it must outlive the transport. The transport
  // keeps what it needs of the context, which may go before it.
  virtual std::unique_ptr<Transport> make(int descriptor) = 0;
  // Client: the hello is for this server, whatever TlsClientOptions::sni says.
  virtual std::unique_ptr<Transport> make_for(int descriptor, const std::string&) {
    return make(descriptor);
  }
  // Another one with the same secrets and tickets, for a link of its own; any loop's.
  virtual std::unique_ptr<TlsContext> share() const = 0;
};

// Carriers of this context, which must outlive the factory; plain ones without a context.
TransportFactory transport_factory(TlsContext* context);
// The same for a client's dials, whose hello may be for a server other than the config's; empty: it
// is not.
std::function<std::unique_ptr<Transport>(int descriptor, const std::string& sni)> dial_factory(
    TlsContext* context);

Result<std::unique_ptr<TlsContext>> make_tls_client(const TlsClientOptions& options);
Result<std::unique_ptr<TlsContext>> make_tls_server(const TlsServerOptions& options);

}  // namespace holdfast
