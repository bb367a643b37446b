#include "common/agent/credentials.h"

#include <sys/prctl.h>

#include <algorithm>

#include "common/config/psk.h"

namespace holdfast {
namespace {

Result<TlsKey> load_key(const std::string& path, const std::string& name) {
  LoadedPsk loaded = load_psk_file(path);
  if (!loaded.psk) return Error{path + ": " + loaded.fault.reason};
  TlsKey key;
  key.id = loaded.psk->id;
  key.name = name;
  key.key = loaded.psk->key;
  return key;
}

TlsFiles files_of(const TlsConfig& config) {
  return {config.ca_file, config.cert_file, config.key_file};
}

}  // namespace

Result<std::unique_ptr<TlsContext>> client_tls(const ClientConfig& config) {
  if (config.link.unsafe_plaintext) return std::unique_ptr<TlsContext>();
  TlsClientOptions options;
  if (config.link.psk_file) {
    auto key = load_key(*config.link.psk_file, config.name);
    if (!key) return key.error();
    options.key = *key;
    wipe_key(*key);
  } else if (config.link.tls) {
    options.files = files_of(*config.link.tls);
    options.server_name = config.link.tls->server_name.value_or(config.link.server.front().host);
  }
  auto context = make_tls_client(options);
  if (options.key) wipe_key(*options.key);
  return context;
}

Result<std::unique_ptr<TlsContext>> server_tls(const ServerConfig& config) {
  if (config.link.unsafe_plaintext) return std::unique_ptr<TlsContext>();
  TlsServerOptions options;
  std::vector<std::string> names;
  std::optional<Error> failed;
  for (const auto& [name, peer] : config.clients) {
    names.push_back(name);
    if (!peer.psk_file) continue;
    auto key = load_key(*peer.psk_file, name);
    if (!key) {
      failed = key.error();
      break;
    }
    options.keys.push_back(*key);
    wipe_key(*key);
  }
  if (config.link.tls) options.files = files_of(*config.link.tls);
  options.client_of = [names](const std::vector<std::string>& proved) {
    auto known = std::find_first_of(proved.begin(), proved.end(), names.begin(), names.end());
    return known == proved.end() ? std::nullopt : std::optional<std::string>(*known);
  };
  Result<std::unique_ptr<TlsContext>> context =
      failed ? Result<std::unique_ptr<TlsContext>>(*failed) : make_tls_server(options);
  for (TlsKey& key : options.keys) wipe_key(key);
  return context;
}

TransportFactory transport_factory(const std::unique_ptr<TlsContext>& context) {
  if (context == nullptr) return make_plain_transport;
  return [&context](int descriptor) { return context->make(descriptor); };
}

void protect_memory() { prctl(PR_SET_DUMPABLE, 0); }

}  // namespace holdfast
