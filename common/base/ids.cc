#include "common/base/ids.h"

#include <charconv>

namespace holdfast {

std::string LinkId::to_string() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (std::uint8_t b : bytes) {
    text.push_back(kDigits[b >> 4]);
    text.push_back(kDigits[b & 15]);
  }
  return text;
}

std::string connection_name(const LinkId& link, StreamId stream) {
  return link.short_name() + "-" + std::to_string(stream.value);
}

std::optional<ConnectionName> parse_connection(std::string_view name) {
  std::size_t dash = name.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  ConnectionName result;
  result.link = std::string(name.substr(0, dash));
  std::string_view number = name.substr(dash + 1);
  const char* end = number.data() + number.size();
  auto parsed = std::from_chars(number.data(), end, result.stream.value);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return result;
}

}  // namespace holdfast
