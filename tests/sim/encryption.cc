#include "tests/sim/encryption.h"

#include "tests/sim/kernel/failure.h"
#include "tests/sim/world.h"

namespace holdfast::sim {
namespace {

// Small, so that keys change in the middle of what a world moves.
constexpr std::uint64_t kKeyUpdateAfter = 5000;

}  // namespace

Encryption::Encryption() {
  TlsServerOptions server;
  for (std::uint32_t i = 0; i < kMostClients; ++i) {
    std::string name = World::name_of_client(i);
    TlsKey key;
    key.id = "key-of-" + name;
    key.name = name;
    key.key.fill(static_cast<std::uint8_t>(i + 1));
    server.keys.push_back(key);
    TlsClientOptions client;
    client.key = key;
    client.key_update_after = kKeyUpdateAfter;
    auto made = make_tls_client(client);
    require(made.ok(), "no TLS context for a client");
    clients_.emplace(name, std::move(made).value());
  }
  server.key_update_after = kKeyUpdateAfter;
  auto made = make_tls_server(server);
  require(made.ok(), "no TLS context for the server");
  server_ = std::move(made).value();
}

Encryption::~Encryption() = default;

std::unique_ptr<TlsContext> Encryption::server() {
  return server_->share();
}

std::unique_ptr<TlsContext> Encryption::client(const std::string& name) {
  auto found = clients_.find(name);
  require(found != clients_.end(), "more clients than there are keys");
  return found->second->share();
}

}  // namespace holdfast::sim
