// Text from the network or a file, made safe to show: no control characters, line ends, broken
// UTF-8, invisible separators or changes of writing direction.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

enum class EscapeStyle {
  plain,  // \n \r \t \\ \xNN \uNNNN; quotes stay
  text,   // the same, and \" for a quote
  json,   // JSON's own (RFC 8259); broken bytes become U+FFFD
};

// Longest value shown; what is longer is cut between characters and ends in "...".
inline constexpr std::size_t kMaxShownBytes = 1024;

void append_escaped(std::string& out, std::string_view value, EscapeStyle style);
std::string escaped(std::string_view value);  // plain

}  // namespace holdfast
