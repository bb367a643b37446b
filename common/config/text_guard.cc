#include "common/config/text_guard.h"

#include <cstdint>

namespace holdfast {
namespace {

bool is_continuation(unsigned char c) {
  return (c & 0xc0) == 0x80;
}

// The length of the UTF-8 sequence at the front (RFC 3629: no overlong forms, no surrogates, at
// most U+10FFFF), or 0.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : static_cast<unsigned char>(0);
  };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return is_continuation(byte(1)) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if (first == 0xe0 && byte(1) < 0xa0) return 0;
    if (first == 0xed && byte(1) > 0x9f) return 0;
    return is_continuation(byte(1)) && is_continuation(byte(2)) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (first == 0xf0 && byte(1) < 0x90) return 0;
    if (first == 0xf4 && byte(1) > 0x8f) return 0;
    return is_continuation(byte(1)) && is_continuation(byte(2)) && is_continuation(byte(3)) ? 4 : 0;
  }
  return 0;
}

bool is_refused_control(unsigned char c) {
  return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
}

std::optional<TomlFault> bytes_fault(std::string_view text) {
  int line = 1;
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const std::size_t length = utf8_length(text.substr(at));
    if (length == 0) return TomlFault{line, "the text is not UTF-8"};
    if (is_refused_control(byte)) {
      return TomlFault{line, "the text has a control character (" + std::to_string(byte) + ")"};
    }
    if (byte == '\n') ++line;
    at += length;
  }
  return std::nullopt;
}

// Skips over strings and comments, as TOML delimits them, and counts what nests between them.
class NestingScan {
 public:
  explicit NestingScan(std::string_view text) : text_(text) {}

  std::optional<TomlFault> run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        skip_comment();
      } else if (c == '"' || c == '\'') {
        skip_string(c);
      } else {
        count(c);
        ++at_;
      }
      if (depth_ > kMaxNesting || dots_ > kMaxNesting) {
        return TomlFault{line_, "the text nests deeper than " + std::to_string(kMaxNesting)};
      }
    }
    return std::nullopt;
  }

 private:
  void count(char c) {
    if (c == '\n') {
      ++line_;
      dots_ = 0;
    }
    if (c == '.') ++dots_;
    if (c == '[' || c == '{') ++depth_;
    if ((c == ']' || c == '}') && depth_ > 0) --depth_;
  }

  void skip_comment() {
    while (at_ < text_.size() && text_[at_] != '\n') ++at_;
  }

  void skip_string(char quote) {
    const std::string three(3, quote);
    const bool many_lines = text_.substr(at_).starts_with(three);
    at_ += many_lines ? 3 : 1;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\n' && !many_lines) return;  // not closed: the parser will say so
      if (c == '\n') ++line_;
      if (many_lines ? text_.substr(at_).starts_with(three) : c == quote) {
        at_ += many_lines ? 3 : 1;
        // Up to two quotes may stand directly before the closing three (TOML 1.0).
        for (int i = 0; many_lines && i < 2 && at_ < text_.size() && text_[at_] == quote; ++i)
          ++at_;
        return;
      }
      at_ += c == '\\' && quote == '"' && at_ + 1 < text_.size() && text_[at_ + 1] != '\n' ? 2 : 1;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1;
  int depth_ = 0;
  int dots_ = 0;  // on this line: each may open a table (a.b.c)
};

}  // namespace

std::optional<TomlFault> guard_text(std::string_view text) {
  if (text.size() > kMaxConfigBytes) {
    return TomlFault{
        1, "the text is too large: at most " + std::to_string(kMaxConfigBytes) + " bytes"};
  }
  if (auto fault = bytes_fault(text)) return fault;
  return NestingScan(text).run();
}

}  // namespace holdfast
