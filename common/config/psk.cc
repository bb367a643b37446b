#include "common/config/psk.h"

#include <string.h>  // explicit_bzero
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <system_error>
#include <utility>

#include "common/config/files.h"

namespace holdfast {
namespace {

constexpr std::size_t kIdBytes = 16;
constexpr std::size_t kIdDigits = 2 * kIdBytes;
constexpr std::size_t kKeyDigits = 64;
constexpr std::size_t kLineBytes = kIdDigits + 1 + kKeyDigits;
constexpr std::size_t kMaxFileBytes = 1024;  // far more than a line; what is longer is no key

constexpr const char* kGenerateHint = "make one with `holdfast-client genpsk`";

// 0..15, or -1. No table look-up: its timing would depend on the key.
int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool parse_hex(std::string_view digits, std::span<std::uint8_t> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = hex_value(digits[2 * i]);
    const int low = hex_value(digits[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    out[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return true;
}

void append_hex(std::string& text, std::span<const std::uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  for (const std::uint8_t byte : bytes) {
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
}

bool fill_random(std::span<std::uint8_t> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = getrandom(out.data() + done, out.size() - done, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

}  // namespace

Psk::Psk(Psk&& other) noexcept : id(std::move(other.id)), key(other.key) {
  explicit_bzero(other.key.data(), other.key.size());
}

Psk& Psk::operator=(Psk&& other) noexcept {
  if (this == &other) return *this;
  id = std::move(other.id);
  key = other.key;
  explicit_bzero(other.key.data(), other.key.size());
  return *this;
}

Psk::~Psk() {
  explicit_bzero(key.data(), key.size());
}

void wipe(std::string& text) {
  explicit_bzero(text.data(), text.size());
  text.clear();
}

Result<Psk> parse_psk(std::string_view text) {
  // Editors and container tools end it with an empty line, or several.
  while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
  if (text.empty()) return Error{"it is empty"};
  if (text.find('\n') != std::string_view::npos) return Error{"it has more than one line"};
  if (text.size() != kLineBytes || text[kIdDigits] != ':') {
    return Error{"it is not ID:KEY with 32 and 64 hexadecimal digits"};
  }
  Psk psk;
  psk.id = std::string(text.substr(0, kIdDigits));
  std::array<std::uint8_t, kIdBytes> id_bytes{};
  if (!parse_hex(psk.id, id_bytes)) {
    return Error{"its id is not made of hexadecimal digits in lower case"};
  }
  if (!parse_hex(text.substr(kIdDigits + 1), psk.key)) {
    return Error{"its key is not made of hexadecimal digits in lower case"};
  }
  return psk;
}

std::string format_psk(const Psk& psk) {
  std::string text;
  text.reserve(kLineBytes);  // one allocation, so that wipe() reaches every copy
  text += psk.id;
  text += ':';
  append_hex(text, psk.key);
  return text;
}

Result<Psk> generate_psk() {
  Psk psk;
  std::array<std::uint8_t, kIdBytes> id_bytes{};
  if (!fill_random(id_bytes) || !fill_random(psk.key)) {
    return Error{"the kernel gives no random numbers: " + std::generic_category().message(errno)};
  }
  append_hex(psk.id, id_bytes);
  return psk;
}

LoadedPsk load_psk_file(const std::string& path) {
  auto file = read_file(path, kMaxFileBytes, Privacy::secret);
  LoadedPsk loaded;
  if (auto* fault = std::get_if<FileFault>(&file)) {
    loaded.fault = std::move(*fault);
    if (loaded.fault.hint.empty()) loaded.fault.hint = kGenerateHint;
    return loaded;
  }
  std::string& text = std::get<std::string>(file);
  Result<Psk> psk = parse_psk(text);
  wipe(text);
  if (psk.ok()) {
    loaded.psk = std::move(psk).value();
  } else {
    loaded.fault = FileFault{ProblemKind::config, path + " holds no key: " + psk.error().message,
                             kGenerateHint};
  }
  return loaded;
}

}  // namespace holdfast
