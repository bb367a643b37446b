// What is known of one config key: its name, its value and the member that the program reads, from
// when on a reload makes it count, and what the manual says of it.
//
// The keys themselves stand in keys.h. Loading, `check`, `reload --dry-run`, the example files and
// the manual are all made from them (docs/CONTRIBUTING.md, "To add a key").
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/config/loading.h"
#include "common/config/reload_effect.h"
#include "common/config/table_reader.h"

namespace holdfast {

// What may stand behind a key, and which member of the typed config, a `Section`, it fills. The
// kinds there are stand in values.h.
template <typename Section>
struct Value {
  std::string type;                  // as the manual writes it: "_duration_"
  std::string least{};               // the range of a count, duration or size, as text; else empty
  std::string most{};                // likewise
  std::vector<std::string> words{};  // of a choice
  bool quoted = true;                // how a file writes it: "30s", or 30

  // Fills the member where the key stands in the table and is right, and returns the key's place;
  // reports a value that is wrong.
  using Read = std::optional<Place>(TableReader& table, const std::string& key,
                                    const Loading& loading, Section& section);
  std::function<Read> read{};
  // The member as a file writes it, without quotes; empty where it is not set.
  std::function<std::string(const Section& section)> show{};
  std::function<void(const Section& from, Section& to)> copy{};
};

template <typename Section>
struct Key {
  std::string name;       // without its section
  Value<Section> value;   // its type and range, and the member it fills
  ReloadEffect reload{};  // from when on a changed value counts
  std::string text;       // one paragraph for the manual and the example; *this* is bold
  // Where it is not empty every such section has the key; it says what to write.
  std::string required{};
  // What is so where the key is absent, unless the default is the member's own: "Default: none."
  std::string absent{};
  std::string example{};  // as the file writes it, quotes and all; else the default is shown
  bool in_use = false;    // stands in the example file in force
  // What is checked of this value alone, once it is there: the rules of several keys are in
  // rules.h.
  using Check = void(const Section& section, const Place& place, const Loading& loading);
  std::function<Check> check{};
};

// The keys of one table of a config file.
template <typename Section>
struct SectionKeys {
  std::string name;     // as a file writes it, with NAME: "services.NAME"; "" is the top
  std::string heading;  // in the manual
  std::string text;     // what the manual says of the whole
  std::string example;  // how the example file writes it; a "#" before "[": not in force
  std::string note{};   // stands behind it in the example file, each line as a comment
  std::vector<Key<Section>> keys;
  // Keys that belong elsewhere, and where that is. NAME becomes the section's own.
  std::vector<TableReader::Elsewhere> elsewhere{};
  // Keys that older files may have and that have no effect: a warning, with what to write instead.
  std::vector<TableReader::Elsewhere> without_effect{};
  Section defaults{};  // what holds where no key says otherwise
};

// Reads all keys of the table into `out`, which holds the defaults. Unknown ones are reported by
// finish_table().
template <typename Section>
void read_keys(const SectionKeys<Section>& section, TableReader& table, const Loading& loading,
               Section& out) {
  for (const Key<Section>& key : section.keys) {
    const std::optional<Place> place = key.value.read(table, key.name, loading, out);
    if (!key.required.empty()) table.require(key.name, key.required);
    if (!place) continue;
    table.note_filled(key.name);
    if (key.check) key.check(out, *place, loading);
  }
  for (const TableReader::Elsewhere& key : section.without_effect) {
    if (!table.has(key.key)) continue;
    loading.report.warning(table.place_of(key.key), "it has no effect", key.hint);
  }
}

// The whole section: its defaults, and what the table says. The caller finishes the table.
template <typename Section>
Section read_section(const SectionKeys<Section>& section, TableReader& table,
                     const Loading& loading) {
  Section out = section.defaults;
  read_keys(section, table, loading, out);
  return out;
}

}  // namespace holdfast
