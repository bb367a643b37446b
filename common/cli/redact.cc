#include "common/cli/redact.h"

#include <cctype>

namespace holdfast {
namespace {

constexpr std::size_t kLongestId = 47;
constexpr std::string_view kInPlace = "<redacted>";
constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kEnd = "-----END ";
constexpr std::string_view kDashes = "-----";
constexpr std::string_view kPrivate = "PRIVATE KEY";

// Where the private key that begins here ends; 0 when none does.
std::size_t private_key(std::string_view text) {
  if (!text.starts_with(kBegin)) return 0;
  std::size_t title = text.find(kDashes, kBegin.size());
  std::string_view name = text.substr(0, title == std::string_view::npos ? text.size() : title);
  if (name.find(kPrivate) == std::string_view::npos) return 0;
  std::size_t end = text.find(kEnd, kBegin.size());
  if (end == std::string_view::npos) return text.size();
  std::size_t last = text.find(kDashes, end + kEnd.size());
  return last == std::string_view::npos ? text.size() : last + kDashes.size();
}

std::size_t hex_run(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size() && std::isxdigit(static_cast<unsigned char>(text[size])) != 0) ++size;
  return size;
}

}  // namespace

std::string redacted(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    std::size_t secret = private_key(text);
    std::size_t digits = secret == 0 ? hex_run(text) : 0;
    if (digits > kLongestId) secret = digits;
    if (secret > 0) {
      out += kInPlace;
      text.remove_prefix(secret);
      continue;
    }
    std::size_t plain = digits > 0 ? digits : 1;
    out += text.substr(0, plain);
    text.remove_prefix(plain);
  }
  return out;
}

}  // namespace holdfast
