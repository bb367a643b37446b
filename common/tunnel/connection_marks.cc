#include "common/tunnel/connection_marks.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/wire/coding.h"

namespace holdfast {
namespace {

constexpr std::size_t kEndSize = 18;     // an address as IPv6, and a port
constexpr std::size_t kScopeSize = 24;   // boot id, namespace
constexpr std::size_t kDigestSize = 32;  // of SHA-256

struct FreeMac {
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};
using MacContext = std::unique_ptr<EVP_MAC_CTX, FreeMac>;

MacContext make_context() {
  EVP_MAC* hmac = EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_HMAC, nullptr);
  if (hmac == nullptr) return nullptr;
  MacContext context(EVP_MAC_CTX_new(hmac));
  EVP_MAC_free(hmac);  // the context keeps it
  return context;
}

// HMAC-SHA256 by the key that was used last: looking up the digest and preparing the key cost more
// than the hash of two addresses.
struct KeyedMac {
  MacContext context = make_context();
  std::optional<MarkKey> key;  // that the context is prepared for

  bool begin(const MarkKey& wanted) {
    if (context == nullptr) return false;
    // Without a key it begins anew with the one it has (EVP_MAC_init(3)).
    if (key == wanted) return EVP_MAC_init(context.get(), nullptr, 0, nullptr) == 1;
    key.reset();
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end()};
    if (EVP_MAC_init(context.get(), wanted.data(), wanted.size(), parameters) != 1) return false;
    key = wanted;
    return true;
  }
};

// The first eight bytes of HMAC-SHA256; 0 if it cannot be had.
std::uint64_t hash_of(const MarkKey& key, Bytes text) {
  thread_local KeyedMac mac;
  EVP_MAC_CTX* context = mac.context.get();
  std::array<std::uint8_t, kDigestSize> hash{};
  std::size_t size = 0;
  bool done = mac.begin(key) && EVP_MAC_update(context, text.data(), text.size()) == 1 &&
              EVP_MAC_final(context, hash.data(), &size, hash.size()) == 1;
  return done ? load_big_endian<std::uint64_t>(hash.data()) : 0;
}

// Written to `to`; returns what follows it.
std::uint8_t* put(std::uint8_t* to, const Endpoint& endpoint) {
  to = std::copy(endpoint.address.begin(), endpoint.address.end(), to);
  store_big_endian(to, endpoint.port);
  return to + sizeof endpoint.port;
}

bool in_any(const IpAddress& address, const std::vector<Network>& networks) {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const Network& each) { return each.contains(address); });
}

std::vector<Network> networks(std::initializer_list<std::string_view> texts) {
  std::vector<Network> all;
  for (std::string_view text : texts) all.push_back(*parse_network(text));
  return all;
}

bool of_one_host(const IpAddress& address) {
  static const std::vector<Network> kOfOneHost = networks({"169.254.0.0/16", "fe80::/10"});
  return is_own_host(address) || in_any(address, kOfOneHost);
}

// Given out in many networks: private use, shared by carriers, for tests, for the future.
bool given_out_again(const IpAddress& address) {
  static const std::vector<Network> kMany =
      networks({"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "192.0.0.0/24",
                "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
                "fc00::/7", "fec0::/10", "64:ff9b:1::/48", "2001:db8::/32"});
  return in_any(address, kMany);
}

// The kernel writes it as a UUID: 32 lower-case digits of base 16, in five groups.
std::optional<Id128> this_boot() {
  std::string text;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> text;
  text.erase(std::remove(text.begin(), text.end(), '-'), text.end());
  return parse_id128(text);
}

}  // namespace

const std::optional<HostScope>& this_host() {
  static const std::optional<HostScope> host = []() -> std::optional<HostScope> {
    HostScope scope;
    auto boot = this_boot();
    struct stat of_namespace {};
    if (!boot) return std::nullopt;
    if (stat("/proc/self/ns/net", &of_namespace) != 0) return std::nullopt;
    scope.boot_id = *boot;
    scope.network_namespace = of_namespace.st_ino;
    return scope;
  }();
  return host;
}

Mark connection_mark(const MarkKey& key, const Endpoint& from, const Endpoint& to,
                     const std::optional<HostScope>& host) {
  auto one = ip_of(from);
  auto other = ip_of(to);
  if (!one || !other || key == MarkKey{}) return {};
  // A host that talks to itself: many may have the same address (a virtual one, on loopback).
  bool scoped = of_one_host(*one) || of_one_host(*other) || *one == *other;
  if (scoped && !host) return {};
  std::array<std::uint8_t, 2 * kEndSize + kScopeSize> text{};
  std::uint8_t* end = put(put(text.data(), as_ipv6(from)), as_ipv6(to));
  if (scoped) {
    end = std::copy(host->boot_id.begin(), host->boot_id.end(), end);
    store_big_endian(end, host->network_namespace);
    end += sizeof host->network_namespace;
  }
  Mark mark;
  mark.value = hash_of(key, {text.data(), static_cast<std::size_t>(end - text.data())});
  mark.unique = scoped || (!given_out_again(*one) && !given_out_again(*other));
  return mark;
}

}  // namespace holdfast
