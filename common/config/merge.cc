#include "common/config/merge.h"

#include <algorithm>
#include <map>
#include <string>

namespace holdfast {
namespace {

// From here on an index is quicker than looking at each.
constexpr std::size_t kFewKeys = 8;

void set_file(TomlNode& node, int file) {
  node.file = file;
  if (auto* table = std::get_if<TomlTable>(&node.value)) {
    for (TomlMember& member : *table) set_file(member.node, file);
  } else if (auto* array = std::get_if<TomlArray>(&node.value)) {
    for (TomlNode& item : *array) set_file(item, file);
  }
}

// Finds the members of a table that only grows.
class Finder {
 public:
  Finder(TomlTable& table, std::size_t lookups) : table_(table), indexed_(lookups > kFewKeys) {
    if (!indexed_) return;
    for (std::size_t i = 0; i < table_.size(); ++i) index_.emplace(table_[i].key, i);
  }

  TomlNode* find(const std::string& key) {
    if (indexed_) {
      const auto found = index_.find(key);
      return found == index_.end() ? nullptr : &table_[found->second].node;
    }
    const auto found = std::find_if(table_.begin(), table_.end(),
                                    [&](const TomlMember& member) { return member.key == key; });
    return found == table_.end() ? nullptr : &found->node;
  }

 private:
  TomlTable& table_;
  bool indexed_;
  std::map<std::string, std::size_t> index_;
};

// As deep as text_guard.h lets a text be nested.
void merge_tables(TomlTable& into, TomlTable from, const std::string& prefix, Report& report) {
  Finder finder(into, from.size());
  TomlTable added;
  for (TomlMember& member : from) {
    TomlNode* known = finder.find(member.key);
    if (known == nullptr) {
      added.push_back(std::move(member));
      continue;
    }
    auto* mine = std::get_if<TomlTable>(&known->value);
    auto* theirs = std::get_if<TomlTable>(&member.node.value);
    if (mine != nullptr && theirs != nullptr) {
      merge_tables(*mine, std::move(*theirs), prefix + member.key + ".", report);
      continue;
    }
    const Place here{member.node.line, prefix + member.key, member.node.file};
    report.error(
        here,
        "it stands in " + report.name_of(Place{known->line, "", known->file}, here) + " already",
        "keep one of the two: the files add to each other, none overrides another");
  }
  std::move(added.begin(), added.end(), std::back_inserter(into));
}

}  // namespace

void merge(TomlNode& into, TomlNode from, int file, Report& report) {
  set_file(from, file);
  merge_tables(std::get<TomlTable>(into.value), std::get<TomlTable>(std::move(from.value)), "",
               report);
}

}  // namespace holdfast
