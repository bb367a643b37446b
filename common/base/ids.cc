#include "common/base/ids.h"

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

}  // namespace holdfast
