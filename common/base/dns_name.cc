#include "common/base/dns_name.h"

#include <algorithm>

namespace holdfast {
namespace {

constexpr std::size_t kMaxLabel = 63;  // RFC 1035, 2.3.4

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool may_stand_in_label(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-' || c == '_';
}

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= kMaxLabel && label.front() != '-' &&
         label.back() != '-' && std::all_of(label.begin(), label.end(), may_stand_in_label);
}

}  // namespace

bool is_dns_name(std::string_view text) {
  if (text.empty() || text.size() > kMaxDnsName) return false;
  std::string_view last;
  for (std::string_view rest = text;;) {
    std::size_t dot = rest.find('.');
    last = rest.substr(0, dot);
    if (!is_label(last)) return false;
    if (dot == std::string_view::npos) break;
    rest.remove_prefix(dot + 1);
  }
  // 192.0.2.1 is none.
  return !std::all_of(last.begin(), last.end(), is_digit);
}

}  // namespace holdfast
