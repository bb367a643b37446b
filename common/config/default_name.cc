#include "common/config/default_name.h"

#include <sys/random.h>
#include <systemd/sd-id128.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace holdfast {
namespace {

// Drawn once; its last eight bytes give way to what tells agents on one machine apart.
constexpr sd_id128_t kApplication =
    SD_ID128_MAKE(5c, 1f, 9d, 27, 3a, e4, 48, 06, 00, 00, 00, 00, 00, 00, 00, 00);

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

std::optional<std::uint64_t> of_machine(const std::string& agent) {
  sd_id128_t application = kApplication;
  std::uint64_t hash = hash_of(agent);
  for (int i = 0; i < 8; ++i) {
    application.bytes[8 + i] = static_cast<std::uint8_t>(hash >> (8 * i));
  }
  sd_id128_t id{};
  if (sd_id128_get_machine_app_specific(application, &id) < 0) return std::nullopt;
  std::uint64_t number = 0;
  for (int i = 0; i < 8; ++i) number = number << 8U | id.bytes[i];
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

std::string default_server_name(const std::vector<ListenAddress>& listen) {
  std::string agent = which(listen);
  std::optional<std::uint64_t> number = of_machine(agent);
  return name_of(number ? *number : drawn() ^ hash_of(agent));
}

}  // namespace holdfast
