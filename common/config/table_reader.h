// Reads the keys of one TOML table into typed values and reports whatever does not fit.
//
// Each getter fills `out` when the key is there and right, leaves it alone otherwise (so that a
// default stands), and reports a value that is there and wrong. It returns the place of the key
// when `out` was filled. Every key asked for counts as known; finish() reports the others. A table
// that is absent reads as an empty one. What `out` holds before is the default.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/base/time.h"
#include "common/config/report.h"
#include "common/config/toml_tree.h"

namespace holdfast {

struct DurationRange {
  Duration least;
  Duration most;
};
struct SizeRange {
  std::uint64_t least;
  std::uint64_t most;
};
struct CountRange {
  std::uint64_t least;
  std::uint64_t most;
};

// One string of an array, with its own place: servers[2] has key "link.server[2]".
struct TextItem {
  std::string text;
  Place place;
};

class TableReader {
 public:
  // `node` may be null: the table is not in the file. `report` must outlive the reader.
  TableReader(const TomlNode* node, Place place, Report& report);

  TableReader table(const std::string& key);

  // `example` goes with a value that is no string: how to write it.
  std::optional<Place> text(const std::string& key, std::string& out,
                            const std::string& example = "");
  std::optional<Place> boolean(const std::string& key, bool& out);
  std::optional<Place> count(const std::string& key, CountRange range, std::uint64_t& out);
  std::optional<Place> duration(const std::string& key, DurationRange range, Duration& out);
  std::optional<Place> size(const std::string& key, SizeRange range, std::uint64_t& out);

  // The same for keys without a default.
  std::optional<Place> count(const std::string& key, CountRange range,
                             std::optional<std::uint64_t>& out);
  std::optional<Place> duration(const std::string& key, DurationRange range,
                                std::optional<Duration>& out);
  std::optional<Place> size(const std::string& key, SizeRange range,
                            std::optional<std::uint64_t>& out);
  // One word of a list, by its number.
  std::optional<Place> choice(const std::string& key, const std::vector<std::string>& words,
                              std::size_t& out);

  // An array of strings. With `or_single`, one string is an array of one.
  enum class Single { refused, accepted };
  std::optional<Place> texts(const std::string& key, Single single, std::vector<TextItem>& out);

  // The tables in this table, for [services.X] and [clients.X]: names checked, bad ones reported
  // and left out. Counts every key as known.
  void each_table(const std::function<void(const std::string& name, TableReader& table)>& visit);

  // All that stand there, in the order of the file.
  std::vector<std::string> keys() const;
  // Whether the key stands there at all, right or wrong.
  bool has(const std::string& key);
  bool has_boolean(const std::string& key);
  bool has_table(const std::string& key) const;
  // Reports `key` as missing unless it stands there, or the whole table is of a wrong type already
  // reported. Of several calls for one key the first counts.
  void require(const std::string& key, const std::string& hint);
  // Where the key stands, or would.
  Place place_of(const std::string& key) const;
  const Place& place() const { return place_; }
  bool present() const { return table_ != nullptr; }

  // The string, or the strings of the array, that stand there; nothing is reported.
  std::vector<TextItem> peek(const std::string& key) const;
  // For whoever fills a member with what a key says: where it stands, once it was right.
  void note_filled(const std::string& key) { filled_.push_back(key); }
  std::optional<Place> filled(const std::string& key) const;

  // Reports the keys that nobody asked for. `elsewhere` explains those that belong to another
  // place.
  struct Elsewhere {
    std::string key;
    std::string hint;
  };
  void finish(const std::vector<Elsewhere>& elsewhere = {});

 private:
  const TomlNode* find(const std::string& key);
  void wrong_type(const TomlNode& node, const std::string& key, const std::string& expected,
                  const std::string& hint);

  const TomlTable* table_ = nullptr;  // null when absent or of a wrong type
  bool broken_ = false;               // present, but not a table: reported once
  Place place_;
  Report* report_;
  std::vector<std::string> known_;
  bool all_known_ = false;  // named tables: their names are the user's
  std::vector<std::string> required_;
  std::vector<std::string> filled_;
};

// Names of agents, services and clients: 1..64 of A-Z a-z 0-9 _ . -
bool is_valid_name(const std::string& name);
inline constexpr const char* kNameRule =
    "a name has 1 to 64 characters out of A-Z, a-z, 0-9, _, . and -";

}  // namespace holdfast
