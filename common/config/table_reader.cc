#include "common/config/table_reader.h"

#include <algorithm>

#include "common/config/config.h"
#include "common/config/nearest.h"
#include "common/config/units.h"

namespace holdfast {
namespace {

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string out_of_range(const std::string& value, const std::string& least,
                         const std::string& most) {
  return value + " is out of range: at least " + least + ", at most " + most;
}

// "write \"30s\"" for the bare number 30: what to write instead.
std::string with_unit_hint(const TomlNode& node, const char* unit) {
  const auto* number = std::get_if<std::int64_t>(&node.value);
  if (number == nullptr || *number < 0) return "";
  return "write \"" + std::to_string(*number) + unit + "\"";
}

}  // namespace

bool is_valid_name(const std::string& name) {
  return !name.empty() && name.size() <= kMaxNameBytes &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '.' || c == '-';
         });
}

TableReader::TableReader(const TomlNode* node, Place place, Report& report)
    : place_(std::move(place)), report_(&report) {
  if (node == nullptr) return;
  place_.line = node->line;
  place_.file = node->file;
  table_ = std::get_if<TomlTable>(&node->value);
  broken_ = table_ == nullptr;
  if (!broken_) return;
  const bool array = std::holds_alternative<TomlArray>(node->value);
  report_->error(place_, "expected a table, found " + describe(*node),
                 array ? "tables stand in single brackets: [" + place_.key + "]"
                       : "write [" + place_.key + "] on a line of its own");
}

TableReader TableReader::table(const std::string& key) {
  const TomlNode* node = find(key);
  TableReader reader(node, place_of(key), *report_);
  if (broken_) reader.broken_ = true;
  return reader;
}

std::optional<Place> TableReader::text(const std::string& key, std::string& out,
                                       const std::string& example) {
  const TomlNode* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = std::get_if<std::string>(&node->value);
  if (value == nullptr) {
    wrong_type(*node, key, "a string",
               example.empty() ? "in quotes" : "in quotes, as in " + key + " = " + example);
    return std::nullopt;
  }
  if (value->empty()) {
    report_->error(place_of(key), "it is empty", "write a value or leave the key out");
    return std::nullopt;
  }
  out = *value;
  return place_of(key);
}

std::optional<Place> TableReader::boolean(const std::string& key, bool& out) {
  const TomlNode* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = std::get_if<bool>(&node->value);
  if (value == nullptr) {
    wrong_type(*node, key, "true or false", "without quotes");
    return std::nullopt;
  }
  out = *value;
  return place_of(key);
}

std::optional<Place> TableReader::count(const std::string& key, CountRange range,
                                        std::optional<std::uint64_t>& out) {
  std::uint64_t value = 0;
  auto place = count(key, range, value);
  if (place) out = value;
  return place;
}

std::optional<Place> TableReader::count(const std::string& key, CountRange range,
                                        std::uint64_t& out) {
  const TomlNode* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = std::get_if<std::int64_t>(&node->value);
  if (value == nullptr) {
    wrong_type(*node, key, "a whole number", "without quotes");
    return std::nullopt;
  }
  if (*value < 0 || static_cast<std::uint64_t>(*value) < range.least ||
      static_cast<std::uint64_t>(*value) > range.most) {
    report_->error(place_of(key), out_of_range(std::to_string(*value), std::to_string(range.least),
                                               std::to_string(range.most)));
    return std::nullopt;
  }
  out = static_cast<std::uint64_t>(*value);
  return place_of(key);
}

std::optional<Place> TableReader::duration(const std::string& key, DurationRange range,
                                           std::optional<Duration>& out) {
  Duration value{};
  auto place = duration(key, range, value);
  if (place) out = value;
  return place;
}

std::optional<Place> TableReader::duration(const std::string& key, DurationRange range,
                                           Duration& out) {
  const TomlNode* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = std::get_if<std::string>(&node->value);
  if (value == nullptr) {
    wrong_type(*node, key, "a duration with its unit, as in \"30s\"", with_unit_hint(*node, "s"));
    return std::nullopt;
  }
  const Result<Duration> parsed = parse_duration(*value);
  if (!parsed.ok()) {
    report_->error(place_of(key), parsed.error().message);
    return std::nullopt;
  }
  if (*parsed < range.least || *parsed > range.most) {
    report_->error(place_of(key),
                   out_of_range(*value, format_duration(range.least), format_duration(range.most)));
    return std::nullopt;
  }
  out = *parsed;
  return place_of(key);
}

std::optional<Place> TableReader::size(const std::string& key, SizeRange range,
                                       std::optional<std::uint64_t>& out) {
  std::uint64_t value = 0;
  auto place = size(key, range, value);
  if (place) out = value;
  return place;
}

std::optional<Place> TableReader::size(const std::string& key, SizeRange range,
                                       std::uint64_t& out) {
  const TomlNode* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto* value = std::get_if<std::string>(&node->value);
  if (value == nullptr) {
    wrong_type(*node, key, "a size with its unit, as in \"64MiB\"", with_unit_hint(*node, "MiB"));
    return std::nullopt;
  }
  const Result<std::uint64_t> parsed = parse_size(*value);
  if (!parsed.ok()) {
    report_->error(place_of(key), parsed.error().message);
    return std::nullopt;
  }
  if (*parsed < range.least || *parsed > range.most) {
    report_->error(place_of(key),
                   out_of_range(*value, format_size(range.least), format_size(range.most)));
    return std::nullopt;
  }
  out = *parsed;
  return place_of(key);
}

std::optional<Place> TableReader::choice(const std::string& key,
                                         const std::vector<std::string>& words, std::size_t& out) {
  std::string word = words.at(out);
  std::optional<Place> place = text(key, word, "\"" + words.at(out) + "\"");
  if (!place) return std::nullopt;
  const auto found = std::find(words.begin(), words.end(), word);
  if (found != words.end()) {
    out = static_cast<std::size_t>(found - words.begin());
    return place;
  }
  const auto near = nearest(word, words);
  report_->error(*place, "\"" + word + "\" is not one of " + join(words),
                 near ? "did you mean \"" + *near + "\"?" : "");
  return std::nullopt;
}

std::optional<Place> TableReader::texts(const std::string& key, Single single,
                                        std::vector<TextItem>& out) {
  const TomlNode* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto* one = std::get_if<std::string>(&node->value);
  if (one != nullptr && single == Single::accepted) {
    out.push_back(TextItem{*one, place_of(key)});
    return place_of(key);
  }
  const auto* array = std::get_if<TomlArray>(&node->value);
  if (array == nullptr) {
    wrong_type(
        *node, key,
        single == Single::accepted ? "a string or an array of strings" : "an array of strings",
        one != nullptr ? "write [\"" + *one + "\"]" : std::string());
    return std::nullopt;
  }
  for (std::size_t i = 0; i < array->size(); ++i) {
    const TomlNode& item = (*array)[i];
    const Place place{item.line, place_of(key).key + "[" + std::to_string(i) + "]", item.file};
    if (const auto* value = std::get_if<std::string>(&item.value)) {
      out.push_back(TextItem{*value, place});
    } else {
      report_->error(place, "expected a string, found " + describe(item));
    }
  }
  return place_of(key);
}

void TableReader::each_table(
    const std::function<void(const std::string& name, TableReader& table)>& visit) {
  if (table_ == nullptr) return;
  all_known_ = true;
  for (const TomlMember& member : *table_) {
    const Place place{member.node.line, place_.key + "." + member.key, member.node.file};
    if (!is_valid_name(member.key)) {
      report_->error(place, "\"" + member.key + "\" cannot be a name", kNameRule);
      continue;
    }
    if (!std::holds_alternative<TomlTable>(member.node.value)) {
      report_->error(place, "expected a table, found " + describe(member.node),
                     "write [" + place.key + "] on a line of its own; the name after \"" +
                         place_.key + ".\" is yours to choose");
      continue;
    }
    TableReader reader(&member.node, place, *report_);
    visit(member.key, reader);
  }
}

std::vector<std::string> TableReader::keys() const {
  std::vector<std::string> keys;
  if (table_ == nullptr) return keys;
  for (const TomlMember& member : *table_) keys.push_back(member.key);
  return keys;
}

bool TableReader::has(const std::string& key) {
  return find(key) != nullptr;
}

bool TableReader::has_boolean(const std::string& key) {
  const TomlNode* node = find(key);
  return node != nullptr && std::holds_alternative<bool>(node->value);
}

bool TableReader::has_table(const std::string& key) const {
  if (table_ == nullptr) return false;
  return std::any_of(table_->begin(), table_->end(), [&](const TomlMember& member) {
    return member.key == key && std::holds_alternative<TomlTable>(member.node.value);
  });
}

void TableReader::require(const std::string& key, const std::string& hint) {
  if (std::find(required_.begin(), required_.end(), key) != required_.end()) return;
  required_.push_back(key);
  if (broken_ || has(key)) return;
  report_->missing(Severity::error, place_of(key), "it is missing", hint);
}

Place TableReader::place_of(const std::string& key) const {
  Place place{place_.line, place_.key.empty() ? key : place_.key + "." + key, place_.file};
  if (table_ == nullptr) return place;
  for (const TomlMember& member : *table_) {
    if (member.key != key) continue;
    place.line = member.node.line;
    place.file = member.node.file;
  }
  return place;
}

void TableReader::finish(const std::vector<Elsewhere>& elsewhere) {
  if (table_ == nullptr || all_known_) return;
  for (const TomlMember& member : *table_) {
    if (std::find(known_.begin(), known_.end(), member.key) != known_.end()) continue;
    std::string hint = "known here: " + join(known_);
    if (const auto near = nearest(member.key, known_)) hint = "did you mean \"" + *near + "\"?";
    const bool top_key =
        member.key == "name" || member.key == "shutdown_timeout" || member.key == "threads";
    if (top_key && !place_.key.empty()) {
      hint = "it stands at the top of the file, before the first [table]";
    }
    for (const Elsewhere& other : elsewhere) {
      if (other.key != member.key) continue;
      hint = other.hint;
      if (member.node.file != 0) hint += "; what one side alone has belongs in a folder of its own";
    }
    report_->error(place_of(member.key), "unknown key", hint);
  }
}

const TomlNode* TableReader::find(const std::string& key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.push_back(key);
  if (table_ == nullptr) return nullptr;
  for (const TomlMember& member : *table_) {
    if (member.key == key) return &member.node;
  }
  return nullptr;
}

std::vector<TextItem> TableReader::peek(const std::string& key) const {
  std::vector<TextItem> items;
  if (table_ == nullptr) return items;
  for (const TomlMember& member : *table_) {
    if (member.key != key) continue;
    Place place = place_of(key);
    if (const auto* one = std::get_if<std::string>(&member.node.value)) {
      items.push_back({*one, place});
    }
    const auto* array = std::get_if<TomlArray>(&member.node.value);
    for (std::size_t i = 0; array != nullptr && i < array->size(); ++i) {
      const TomlNode& item = (*array)[i];
      const auto* text = std::get_if<std::string>(&item.value);
      Place own{item.line, place.key + "[" + std::to_string(i) + "]", item.file};
      if (text != nullptr) items.push_back({*text, std::move(own)});
    }
  }
  return items;
}

std::optional<Place> TableReader::filled(const std::string& key) const {
  bool found = std::find(filled_.begin(), filled_.end(), key) != filled_.end();
  return found ? std::optional(place_of(key)) : std::nullopt;
}

void TableReader::wrong_type(const TomlNode& node, const std::string& key,
                             const std::string& expected, const std::string& hint) {
  report_->error(place_of(key), "expected " + expected + ", found " + describe(node), hint);
}

}  // namespace holdfast
