#include "common/config/toml_tree.h"

#include <algorithm>
#include <exception>
#include <map>
#include <sstream>

// The one place that pays for this header (some 6 s, 40 s with sanitizers).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <toml.hpp>
#pragma GCC diagnostic pop

#include "common/base/overloaded.h"
#include "common/config/text_guard.h"

namespace holdfast {
namespace {

using Value = toml::basic_value<toml::discard_comments, std::map, std::vector>;

// Line numbers from offsets: toml11 counts line ends from the top for each value it is asked about.
class Lines {
 public:
  explicit Lines(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n') ends_.push_back(i);
    }
  }
  int at(std::size_t offset) const {
    const auto end = std::lower_bound(ends_.begin(), ends_.end(), offset);
    return 1 + static_cast<int>(end - ends_.begin());
  }

 private:
  std::vector<std::size_t> ends_;
};

int line_of(const Value& value, const Lines& lines) {
  const auto* region = dynamic_cast<const toml::detail::region*>(toml::detail::get_region(value));
  if (region == nullptr || !region->is_ok()) return 1;
  return lines.at(static_cast<std::size_t>(region->first() - region->begin()));
}

TomlNode convert(const Value& value, const Lines& lines);

TomlTable convert_table(const Value& value, const Lines& lines) {
  TomlTable table;
  for (const auto& [key, member] : value.as_table()) {
    table.push_back(TomlMember{key, convert(member, lines)});
  }
  std::stable_sort(table.begin(), table.end(), [](const TomlMember& a, const TomlMember& b) {
    return a.node.line < b.node.line;
  });
  return table;
}

TomlNode convert(const Value& value, const Lines& lines) {
  TomlNode node;
  node.line = line_of(value, lines);
  switch (value.type()) {
    case toml::value_t::boolean:
      node.value = value.as_boolean();
      break;
    case toml::value_t::integer:
      node.value = static_cast<std::int64_t>(value.as_integer());
      break;
    case toml::value_t::floating:
      node.value = value.as_floating();
      break;
    case toml::value_t::string:
      node.value = value.as_string().str;
      break;
    case toml::value_t::array: {
      TomlArray array;
      for (const Value& item : value.as_array()) array.push_back(convert(item, lines));
      node.value = std::move(array);
      break;
    }
    case toml::value_t::table:
      node.value = convert_table(value, lines);
      break;
    default:
      node.value = TomlDate{};
      break;
  }
  return node;
}

std::string after_last(const std::string& text, const std::string& mark) {
  const std::size_t at = text.rfind(mark);
  return at == std::string::npos ? text : text.substr(at + mark.size());
}

// toml11 says what it could not read; how it is written is said here.
std::string hint_for(const std::string& reason) {
  struct Advice {
    const char* words;
    const char* hint;
  };
  static constexpr Advice kAdvice[] = {
      {"unknown value", "a string stands in straight quotes, as in key = \"value\""},
      {"not a valid string", "a string ends on its line, with the quote it began with"},
      {"key-value separator", "write key = value"},
      {"already exists", "keep one of the two"},
      {"invalid key", "write [table], or key = value"},
  };
  for (const Advice& advice : kAdvice) {
    if (reason.find(advice.words) != std::string::npos) return advice.hint;
  }
  return "";
}

// toml11 explains itself in a drawing:
//   [error] toml::parse_table: invalid line format
//    --> file
//      |
//    1 | x = 5s
//      |      ^--- expected newline, but got 's'.
// Its first line and the last remark make one sentence, the last number is the line.
TomlFault fault_of(const toml::syntax_error& error) {
  TomlFault fault{static_cast<int>(error.location().line()), ""};
  std::istringstream drawing(error.what());
  std::string text;
  std::string remark;
  std::getline(drawing, text);
  fault.reason = after_last(text, "[error] ");
  if (fault.reason.starts_with("toml::")) {
    const std::size_t colon = fault.reason.find(": ");
    if (colon != std::string::npos) fault.reason = fault.reason.substr(colon + 2);
  }
  while (std::getline(drawing, text)) {
    const std::size_t bar = text.find(" | ");
    if (bar == std::string::npos) continue;
    const std::string margin = text.substr(0, bar);
    const std::size_t first = margin.find_first_not_of(' ');
    if (first != std::string::npos) {
      const bool numeric = margin.find_first_not_of("0123456789", first) == std::string::npos;
      if (numeric && margin.size() - first < 8) fault.line = std::stoi(margin.substr(first));
      continue;
    }
    const std::size_t mark = text.find_first_of("^~", bar);
    if (mark == std::string::npos) continue;
    const std::size_t words = text.find_first_not_of("^~- ", mark);
    if (words != std::string::npos) remark = text.substr(words);
  }
  while (fault.reason.ends_with('.')) fault.reason.pop_back();
  while (remark.ends_with('.')) remark.pop_back();
  if (!remark.empty() && remark != "here") fault.reason += ": " + remark;
  fault.hint = hint_for(fault.reason);
  return fault;
}

}  // namespace

std::string describe(const TomlNode& node) {
  return std::visit(
      overloaded{[](const TomlTable&) { return std::string("a table"); },
                 [](const TomlArray&) { return std::string("an array"); },
                 [](const std::string& s) {
                   return s.size() <= 64 ? "the string \"" + s + "\"" : std::string("a string");
                 },
                 [](std::int64_t i) { return "the integer " + std::to_string(i); },
                 [](double) { return std::string("a number with a fraction"); },
                 [](bool b) { return std::string(b ? "the boolean true" : "the boolean false"); },
                 [](const TomlDate&) { return std::string("a date or time"); }},
      node.value);
}

std::variant<TomlNode, TomlFault> parse_toml(std::string_view text) {
  if (auto fault = guard_text(text)) return *fault;
  std::string copy(text);
  copy += '\n';  // toml11 reads past the end of a literal string that nothing closes
  try {
    std::istringstream stream(copy);
    const Value root = toml::parse<toml::discard_comments, std::map, std::vector>(stream, "config");
    return convert(root, Lines(copy));
  } catch (const toml::syntax_error& error) {
    return fault_of(error);
  } catch (const std::exception& error) {
    return TomlFault{1, std::string("the text cannot be read as TOML: ") + error.what()};
  }
}

}  // namespace holdfast
