#include "common/log/escape.h"

#include <cstdio>

namespace holdfast {
namespace {

struct Character {
  char32_t code = 0;
  std::size_t size = 1;
  bool valid = false;
};

// The first character of non-empty text (RFC 3629); size 1 and not valid for a broken byte.
Character first_character(std::string_view text) {
  auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return {byte(0), 1, true};
  std::size_t size = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < size) return {};
  char32_t code = byte(0) & (0x7fU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = (code << 6) | (byte(i) & 0x3fU);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {};
  return {code, size, true};
}

// Controls (C0, DEL, C1), separators of lines, and marks that reorder what is shown.
bool must_escape(char32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200b && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

void append_code(std::string& out, char32_t code, EscapeStyle style) {
  char text[16];
  bool byte = code < 0x80 && style != EscapeStyle::json;
  std::snprintf(text, sizeof text, byte ? "\\x%02x" : "\\u%04x", static_cast<unsigned>(code));
  out += text;
}

void append_one(std::string& out, std::string_view text, Character character, EscapeStyle style) {
  if (!character.valid) {
    char broken[8];
    std::snprintf(broken, sizeof broken, "\\x%02x", static_cast<unsigned char>(text[0]));
    out += style == EscapeStyle::json ? "\\ufffd" : broken;
    return;
  }
  switch (character.code) {
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '"':
      out += style == EscapeStyle::plain ? "\"" : "\\\"";
      return;
    default:
      break;
  }
  if (must_escape(character.code)) {
    append_code(out, character.code, style);
  } else {
    out.append(text.substr(0, character.size));
  }
}

}  // namespace

void append_escaped(std::string& out, std::string_view value, EscapeStyle style) {
  std::size_t taken = 0;
  while (!value.empty()) {
    Character character = first_character(value);
    taken += character.size;
    if (taken > kMaxShownBytes) {
      out += "...";
      return;
    }
    append_one(out, value, character, style);
    value.remove_prefix(character.size);
  }
}

std::string escaped(std::string_view value) {
  std::string out;
  append_escaped(out, value, EscapeStyle::plain);
  return out;
}

}  // namespace holdfast
