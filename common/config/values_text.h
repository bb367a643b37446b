// The kinds of values that are texts, and lists of texts. See values.h.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "common/config/accounts.h"
#include "common/config/values.h"

namespace holdfast::value {

// Any text but an empty one.
template <typename Section, typename Member>
Value<Section> text(Member Section::*member, std::string type = "_string_") {
  Value<Section> value = bound(member, std::move(type));
  value.read = [member](TableReader& table, const std::string& key, const Loading&,
                        Section& section) {
    std::string read;
    auto place = table.text(key, read);
    if (place) section.*member = read;
    return place;
  };
  return value;
}

// What `read_text` makes of a text: it reports what is wrong with it, and returns nothing then.
using ReadText = std::optional<std::string> (*)(const std::string& text, const Place& place,
                                                const Loading& loading);
template <typename Section, typename Member>
Value<Section> checked_text(Member Section::*member, std::string type, ReadText read_text) {
  Value<Section> value = bound(member, std::move(type));
  value.read = [member, read_text](TableReader& table, const std::string& key,
                                   const Loading& loading,
                                   Section& section) -> std::optional<Place> {
    std::string read;
    auto place = table.text(key, read);
    if (!place) return std::nullopt;
    auto good = read_text(read, *place, loading);
    if (!good) return std::nullopt;
    section.*member = *good;
    return place;
  };
  return value;
}

std::optional<std::string> read_name(const std::string& text, const Place& place,
                                     const Loading& loading);
std::optional<std::string> read_path(const std::string& text, const Place& place,
                                     const Loading& loading);
std::optional<std::string> read_secret_path(const std::string& text, const Place& place,
                                            const Loading& loading);
std::optional<std::string> read_socket_path(const std::string& text, const Place& place,
                                            const Loading& loading);
std::optional<std::string> read_congestion_control(const std::string& name, const Place& place,
                                                   const Loading& loading);
std::optional<std::string> read_table_name(const std::string& text, const Place& place,
                                           const Loading& loading);

// The name of an agent, a service, a client.
template <typename Section, typename Member>
Value<Section> name(Member Section::*member) {
  return checked_text(member, "_string_", read_name);
}
// Of a file; relative to the main file's folder.
template <typename Section, typename Member>
Value<Section> path(Member Section::*member) {
  return checked_text(member, "_path_", read_path);
}
// Of a file that holds a key; the key itself is refused.
template <typename Section, typename Member>
Value<Section> secret_path(Member Section::*member) {
  return checked_text(member, "_path_", read_secret_path);
}

// A text that `parse` makes a T of. `example` tells how to write it, quotes and all.
template <typename Section, typename Member, typename T>
Value<Section> parsed(Member Section::*member, Result<T> (*parse)(std::string_view),
                      std::string type, std::string example) {
  Value<Section> value = bound(member, std::move(type));
  value.read = [member, parse, example = std::move(example)](
                   TableReader& table, const std::string& key, const Loading& loading,
                   Section& section) -> std::optional<Place> {
    std::string read;
    auto place = table.text(key, read, example);
    if (!place) return std::nullopt;
    Result<T> good = parse(read);
    if (!good) {
      loading.report.error(*place, good.error().message);
      return std::nullopt;
    }
    section.*member = *good;
    return place;
  };
  return value;
}

// A DNS name, for [link] home; for [link] sni also "off".
std::optional<std::string> read_home(const std::string& text, const Place& place,
                                     const Loading& loading);
std::optional<std::string> read_sni(const std::string& text, const Place& place,
                                    const Loading& loading);

// A user or a group, which `find` looks up unless the surroundings are ignored.
std::optional<Place> read_account(TableReader& table, const std::string& key,
                                  const Loading& loading,
                                  Result<std::uint32_t> (*find)(const std::string& name),
                                  std::optional<Account>& out);
template <typename Section>
Value<Section> account(std::optional<Account> Section::*member,
                       Result<std::uint32_t> (*find)(const std::string& name)) {
  Value<Section> value = bound(member, "_string_");
  value.read = [member, find](TableReader& table, const std::string& key, const Loading& loading,
                              Section& section) {
    return read_account(table, key, loading, find, section.*member);
  };
  return value;
}

// How an array of texts is read.
struct ListForm {
  TableReader::Single single = TableReader::Single::accepted;  // "a" is ["a"]
  bool may_be_empty = true;
  bool may_repeat = false;  // else what stands there twice is told, and counts once
  const char* hint = "";    // how to write one that `parse` refuses
};

// An array, of whose texts `parse` makes one T each.
template <typename Section, typename Member, typename T>
Value<Section> list(Member Section::*member, Result<T> (*parse)(std::string_view), std::string type,
                    ListForm form = {}) {
  Value<Section> value = bound(member, std::move(type));
  value.quoted = false;
  value.read = [member, parse, form](TableReader& table, const std::string& key,
                                     const Loading& loading, Section& section) {
    std::vector<TextItem> items;
    std::vector<T> good;
    auto place = table.texts(key, form.single, items);
    if (place && items.empty() && !form.may_be_empty) {
      loading.report.error(*place, "no address stands in it", "write at least one host:port");
    }
    for (const TextItem& item : items) {
      Result<T> one = parse(item.text);
      if (!one) {
        loading.report.error(item.place, one.error().message, form.hint);
      } else if (!form.may_repeat && std::find(good.begin(), good.end(), *one) != good.end()) {
        loading.report.warning(item.place, item.text + " stands here twice");
      } else {
        good.push_back(*one);
      }
    }
    if (place) section.*member = std::move(good);
    return place;
  };
  return value;
}

// For arrays whose texts stand as they are.
inline Result<std::string> any_text(std::string_view text) {
  return std::string(text);
}
// Whom [nft] exclude leaves alone: "uid:holdfast", "cgroup:system.slice/x.service", "mark:7".
Result<std::string> parse_exclusion(std::string_view text);

}  // namespace holdfast::value
