// What a text must be before a TOML parser sees it.
#pragma once

#include <optional>
#include <string_view>

#include "common/config/toml_tree.h"

namespace holdfast {

inline constexpr std::size_t kMaxConfigBytes = std::size_t{1} << 20;
// Far above what the deepest key needs (3), far below what a recursive parser's stack takes.
inline constexpr int kMaxNesting = 32;

// Nothing when the text is at most kMaxConfigBytes of UTF-8, without control characters except tab
// and line ends, with brackets, braces and dotted keys nested at most kMaxNesting deep. It is not
// judged as TOML: only where strings and comments begin and end is understood.
std::optional<TomlFault> guard_text(std::string_view text);

}  // namespace holdfast
