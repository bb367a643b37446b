#include "common/config/toml_tree.h"

#include <algorithm>
#include <exception>
#include <map>
#include <sstream>

// The one place that pays for this header (some 6 s, 40 s with sanitizers). g++ warns of its
// templates where they are used; for clang toml11 4.4 pops what was pushed before it.
#ifdef __clang__
#include <toml.hpp>
#else
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#include <toml.hpp>
#pragma GCC diagnostic pop
#endif

#include "common/base/overloaded.h"
#include "common/config/text_guard.h"

namespace holdfast {
namespace {

#if TOML11_VERSION_MAJOR >= 4

struct Config : toml::type_config {
  using comment_type = toml::discard_comments;
  template <typename Key, typename Member>
  using table_type = std::map<Key, Member>;
};
using Value = toml::basic_value<Config>;

int line_of(const toml::source_location& location) {
  return static_cast<int>(std::max<std::size_t>(location.first_line_number(), 1));
}

struct Lines {
  int of(const Value& value) const { return line_of(value.location()); }
};

const std::string& text_in(const Value& value) {
  return value.as_string();
}

#else

using Value = toml::basic_value<toml::discard_comments, std::map, std::vector>;

// Line numbers from offsets: toml11 3 counts line ends from the top for each value whose location()
// it is asked for, some seconds for five thousand tables; hence its region, which is not in its
// manual.
class Lines {
 public:
  explicit Lines(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n') ends_.push_back(i);
    }
  }
  int of(const Value& value) const {
    const auto* region = dynamic_cast<const toml::detail::region*>(toml::detail::get_region(value));
    if (region == nullptr || !region->is_ok()) return 1;
    const auto end = std::lower_bound(ends_.begin(), ends_.end(),
                                      static_cast<std::size_t>(region->first() - region->begin()));
    return 1 + static_cast<int>(end - ends_.begin());
  }

 private:
  std::vector<std::size_t> ends_;
};

const std::string& text_in(const Value& value) {
  return value.as_string().str;
}

#endif

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
  node.line = lines.of(value);
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
      node.value = text_in(value);
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

// toml11 says what it could not read; how it is written is said here.
std::string hint_for(const std::string& reason) {
  struct Advice {
    const char* words;
    const char* hint;
  };
  constexpr const char* kQuotes = "a string ends on its line, with the quote it began with";
  static constexpr Advice kAdvice[] = {
      {"unknown value", "a string stands in straight quotes, as in key = \"value\""},
      {"not a valid string", kQuotes},
      {"invalid string", kQuotes},
      {"key-value separator", "write key = value"},
      {"key value separator", "write key = value"},
      {"already exists", "keep one of the two"},
      {"already defined", "keep one of the two"},
      {"invalid key", "write [table], or key = value"},
      {"invalid table key", "write [table], or key = value"},
  };
  for (const Advice& advice : kAdvice) {
    if (reason.find(advice.words) != std::string::npos) return advice.hint;
  }
  return "";
}

TomlFault fault_of(int line, std::string reason, std::string remark) {
  if (reason.starts_with("toml::")) {
    const std::size_t colon = reason.find(": ");
    if (colon != std::string::npos) reason = reason.substr(colon + 2);
  }
  while (reason.ends_with('.')) reason.pop_back();
  while (remark.ends_with('.')) remark.pop_back();
  if (!remark.empty() && remark != "here") reason += ": " + remark;
  std::string hint = hint_for(reason);
  return TomlFault{line, std::move(reason), std::move(hint)};
}

#if TOML11_VERSION_MAJOR >= 4

std::variant<TomlNode, TomlFault> parse(std::istream& stream, const std::string&) {
  const auto parsed = toml::try_parse<Config>(stream, "config");
  if (parsed.is_ok()) return convert(parsed.unwrap(), Lines());
  if (parsed.unwrap_err().empty()) return fault_of(1, "the text cannot be read as TOML", "");
  const toml::error_info& error = parsed.unwrap_err().front();
  if (error.locations().empty()) return fault_of(1, error.title(), "");
  const auto& [location, remark] = error.locations().front();
  std::string reason = error.title();
  if (const std::size_t at = reason.find("already"); remark == "inserting this") {
    // "toml::...: failed to insert a value, value already exists"
    const std::size_t comma = reason.rfind(", ", at);
    if (comma != std::string::npos) reason = reason.substr(comma + 2);
    return fault_of(line_of(location), std::move(reason), "");
  }
  return fault_of(line_of(location), std::move(reason), remark);
}

#else

std::string after_last(const std::string& text, const std::string& mark) {
  const std::size_t at = text.rfind(mark);
  return at == std::string::npos ? text : text.substr(at + mark.size());
}

// toml11 3 explains itself in a drawing:
//   [error] toml::parse_table: invalid line format
//    --> file
//      |
//    1 | x = 5s
//      |      ^--- expected newline, but got 's'.
// Its first line and the last remark make one sentence, the last number is the line.
TomlFault fault_of(const toml::syntax_error& error) {
  int line = static_cast<int>(error.location().line());
  std::istringstream drawing(error.what());
  std::string reason, text, remark;
  std::getline(drawing, reason);
  reason = after_last(reason, "[error] ");
  while (std::getline(drawing, text)) {
    const std::size_t bar = text.find(" | ");
    if (bar == std::string::npos) continue;
    const std::string margin = text.substr(0, bar);
    const std::size_t first = margin.find_first_not_of(' ');
    if (first != std::string::npos) {
      const bool numeric = margin.find_first_not_of("0123456789", first) == std::string::npos;
      if (numeric && margin.size() - first < 8) line = std::stoi(margin.substr(first));
      continue;
    }
    const std::size_t mark = text.find_first_of("^~", bar);
    if (mark == std::string::npos) continue;
    const std::size_t words = text.find_first_not_of("^~- ", mark);
    if (words != std::string::npos) remark = text.substr(words);
  }
  return fault_of(line, std::move(reason), std::move(remark));
}

std::variant<TomlNode, TomlFault> parse(std::istream& stream, const std::string& text) {
  try {
    return convert(toml::parse<toml::discard_comments, std::map, std::vector>(stream, "config"),
                   Lines(text));
  } catch (const toml::syntax_error& error) {
    return fault_of(error);
  }
}

#endif

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
    return parse(stream, copy);
  } catch (const std::exception& error) {
    return TomlFault{1, std::string("the text cannot be read as TOML: ") + error.what()};
  }
}

}  // namespace holdfast
