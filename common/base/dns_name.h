// A DNS name as TLS may say it for a server (RFC 6066, section 3).
#pragma once

#include <cstddef>
#include <string_view>

namespace holdfast {

// The most that DNS lets a name have (RFC 1035, 2.3.4).
inline constexpr std::size_t kMaxDnsName = 255;

// Letters, digits, hyphens and underscores between dots. No IP address, and no dot at the end.
bool is_dns_name(std::string_view text);

}  // namespace holdfast
