#include "common/base/id128.h"

#include <charconv>

namespace holdfast {

std::optional<Id128> parse_id128(std::string_view digits) {
  Id128 id{};
  if (digits.size() != 2 * id.size()) return std::nullopt;
  for (std::size_t i = 0; i < id.size(); ++i) {
    const char* end = digits.data() + 2 * i + 2;
    auto read = std::from_chars(end - 2, end, id[i], 16);
    if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  }
  return id;
}

}  // namespace holdfast
