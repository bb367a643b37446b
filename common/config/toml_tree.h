// A TOML text as a tree of plain values with line numbers: the only way to toml11 in this program.
//
// toml11 3.7.1 overflows its stack on deep nesting and cannot be trusted with arbitrary bytes, so a
// text is looked over first (text_guard.h). Its exceptions end here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace holdfast {

struct TomlNode;
struct TomlMember;

struct TomlDate {};  // any of TOML's four kinds of date and time: no key here takes one
using TomlArray = std::vector<TomlNode>;
using TomlTable = std::vector<TomlMember>;  // in the order of the file

struct TomlNode {
  int line = 1;  // where it stands; for a [table], its header
  std::variant<TomlTable, TomlArray, std::string, std::int64_t, double, bool, TomlDate> value;
  int file = 0;  // which file of several, set when they are merged
};

struct TomlMember {
  std::string key;
  TomlNode node;
};

// What people call it: "a table", "the integer 30", "an array", ...
std::string describe(const TomlNode& node);

struct TomlFault {
  int line = 1;
  std::string reason;
  // How to write it; may be empty, and left out.
  // NOLINTNEXTLINE(readability-redundant-string-init)
  std::string hint = "";
};

// The root table, or the first thing that is wrong with the text.
std::variant<TomlNode, TomlFault> parse_toml(std::string_view text);

}  // namespace holdfast
