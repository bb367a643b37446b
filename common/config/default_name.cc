#include "common/config/default_name.h"

#include <openssl/evp.h>
#include <sys/random.h>

#include <array>
#include <cstdint>
#include <fstream>
#include <optional>
#include <string_view>

#include "common/base/id128.h"

namespace holdfast {
namespace {

// Drawn once; its last eight bytes give way to what tells agents on one machine apart.
constexpr Id128 kApplication = {0x5c, 0x1f, 0x9d, 0x27, 0x3a, 0xe4, 0x48, 0x06};

// FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv): not for secrecy, which the keyed
// hash of the machine's id sees to.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 14695981039346656037U;
  for (char letter : text) hash = (hash ^ static_cast<unsigned char>(letter)) * 1099511628211U;
  return hash;
}

std::string which(const std::vector<ListenAddress>& listen) {
  if (listen.empty()) return "";
  const auto* tcp = std::get_if<TcpAddress>(&listen.front());
  return tcp != nullptr ? std::to_string(tcp->port) : to_string(listen.front());
}

std::string name_of(std::uint64_t number) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string name = "server-";
  for (int shift = 60; shift >= 0; shift -= 4) name += kDigits[(number >> shift) & 15U];
  return name;
}

// machine-id(5): 32 digits of base 16, not all of them 0.
std::optional<Id128> machine_id(const std::string& path) {
  std::string text;
  std::ifstream(path) >> text;
  std::optional<Id128> id = parse_id128(text);
  return id == Id128{} ? std::nullopt : id;
}

// The first half of what sd_id128_get_machine_app_specific(3) gives: HMAC-SHA256 of the
// application's id, keyed by the machine's, as a UUID of version 4.
std::optional<std::uint64_t> of_machine(const std::string& path, const std::string& agent) {
  std::optional<Id128> machine = machine_id(path);
  if (!machine) return std::nullopt;
  Id128 application = kApplication;
  std::uint64_t hash = hash_of(agent);
  for (int i = 0; i < 8; ++i) application[8 + i] = static_cast<std::uint8_t>(hash >> (8 * i));
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  std::size_t size = 0;
  if (EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, machine->data(), machine->size(),
                application.data(), application.size(), mac.data(), mac.size(), &size) == nullptr) {
    return std::nullopt;
  }
  mac[6] = static_cast<unsigned char>((mac[6] & 0x0fU) | 0x40U);
  std::uint64_t number = 0;
  for (int i = 0; i < 8; ++i) number = number << 8U | mac[i];
  return number;
}

// Of this process; a reload asks again.
std::uint64_t drawn() {
  static const std::uint64_t number = [] {
    std::uint64_t value = 0;
    (void)!getrandom(&value, sizeof value, 0);  // whole, for so few bytes
    return value;
  }();
  return number;
}

}  // namespace

std::string default_server_name(const std::vector<ListenAddress>& listen,
                                const std::string& machine_id_file) {
  std::string agent = which(listen);
  std::optional<std::uint64_t> number = of_machine(machine_id_file, agent);
  return name_of(number ? *number : drawn() ^ hash_of(agent));
}

}  // namespace holdfast
