#include "common/wire/home.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>

#include "common/base/dns_name.h"

namespace holdfast {
namespace {

bool is_address(int family, std::string_view text) {
  std::array<unsigned char, 16> address{};
  return inet_pton(family, std::string(text).c_str(), address.data()) == 1;
}

std::optional<std::uint16_t> port_of(std::string_view text) {
  std::uint16_t port = 0;
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
  bool whole = failure == std::errc() && end == text.data() + text.size();
  return whole && port != 0 ? std::optional(port) : std::nullopt;
}

}  // namespace

std::optional<HomeAddress> parse_home_address(std::string_view text) {
  std::size_t colon = text.rfind(':');
  if (text.size() > kMaxHomeAddress || colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  auto port = port_of(text.substr(colon + 1));
  if (!port) return std::nullopt;
  bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  bool good =
      bracketed ? is_address(AF_INET6, host) : is_address(AF_INET, host) || is_dns_name(host);
  if (!good) return std::nullopt;
  return HomeAddress{std::string(host), *port};
}

}  // namespace holdfast
