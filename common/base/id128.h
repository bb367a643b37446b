// Ids of 128 bits as the kernel and service managers write them: 32 digits of base 16.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace holdfast {

using Id128 = std::array<std::uint8_t, 16>;

// Of these digits, upper or lower case, and nothing else; nothing for anything else.
std::optional<Id128> parse_id128(std::string_view digits);

}  // namespace holdfast
