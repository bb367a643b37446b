// The kinds of values that keys have: what a file may say, and how it gets into a member.
//
// Each function binds one member of a section and gives the Value of its key (key.h). A member that
// is a std::optional is one without a default: it stays empty where the key is absent. Texts and
// lists are in values_text.h.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "common/config/key.h"
#include "common/config/units.h"

namespace holdfast::value {

// One value as a file writes it, without quotes.
template <typename T>
std::string shown(const T& value) {
  using holdfast::to_string;
  return to_string(value);
}
inline std::string shown(const std::string& text) {
  return text;
}
inline std::string shown(bool yes) {
  return yes ? "true" : "false";
}
inline std::string shown(Duration duration) {
  return format_duration(duration);
}
template <typename T>
std::string shown(const std::vector<T>& values) {
  std::string text;
  for (const T& each : values) text += (text.empty() ? "" : ", ") + shown(each);
  return "[" + text + "]";
}

// What all kinds have alike. `show` writes what stands in the member, where something does.
template <typename Section, typename Member, typename Show>
Value<Section> bound(Member Section::*member, std::string type, Show show) {
  Value<Section> value;
  value.type = std::move(type);
  value.show = [member, show](const Section& section) -> std::string {
    if constexpr (requires { (section.*member).has_value(); }) {
      return section.*member ? show(*(section.*member)) : std::string();
    } else {
      return show(section.*member);
    }
  };
  value.copy = [member](const Section& from, Section& to) { to.*member = from.*member; };
  return value;
}

template <typename Section, typename Member>
Value<Section> bound(Member Section::*member, std::string type) {
  return bound(member, std::move(type), [](const auto& value) { return shown(value); });
}

// true or false.
template <typename Section>
Value<Section> boolean(bool Section::*member) {
  Value<Section> value = bound(member, "*true* or *false*");
  value.quoted = false;
  value.read = [member](TableReader& table, const std::string& key, const Loading&,
                        Section& section) { return table.boolean(key, section.*member); };
  return value;
}

// A whole number.
template <typename Section, typename Member>
Value<Section> count(Member Section::*member, CountRange range) {
  Value<Section> value =
      bound(member, "_number_", [](std::uint64_t number) { return std::to_string(number); });
  value.quoted = false;
  value.least = std::to_string(range.least);
  value.most = std::to_string(range.most);
  value.read = [member, range](TableReader& table, const std::string& key, const Loading&,
                               Section& section) {
    std::uint64_t number = 0;
    auto place = table.count(key, range, number);
    if (place) section.*member = static_cast<Member>(number);
    return place;
  };
  return value;
}

// A whole number, or the one word that stands for 0.
template <typename Section, typename Member>
Value<Section> count_or_word(Member Section::*member, CountRange range, const std::string& word) {
  Value<Section> value =
      bound(member, "_number_ or \"" + word + "\"",
            [word](std::uint64_t number) { return number == 0 ? word : std::to_string(number); });
  value.least = std::to_string(range.least);
  value.most = std::to_string(range.most);
  const Value<Section> number = count(member, range);
  value.read = [member, number, words = std::vector{word}](
                   TableReader& table, const std::string& key, const Loading& loading,
                   Section& section) {
    if (table.peek(key).empty()) return number.read(table, key, loading, section);
    std::size_t chosen = 0;
    auto place = table.choice(key, words, chosen);
    if (place) section.*member = 0;
    return place;
  };
  return value;
}

// "30s".
template <typename Section, typename Member>
Value<Section> duration(Member Section::*member, DurationRange range) {
  Value<Section> value = bound(member, "_duration_");
  value.least = format_duration(range.least);
  value.most = format_duration(range.most);
  value.read = [member, range](TableReader& table, const std::string& key, const Loading&,
                               Section& section) {
    Duration read{};
    auto place = table.duration(key, range, read);
    if (place) section.*member = read;
    return place;
  };
  return value;
}

// "64MiB", in bytes.
template <typename Section, typename Member>
Value<Section> size(Member Section::*member, SizeRange range) {
  Value<Section> value =
      bound(member, "_size_", [](std::uint64_t bytes) { return format_size(bytes); });
  value.least = format_size(range.least);
  value.most = format_size(range.most);
  value.read = [member, range](TableReader& table, const std::string& key, const Loading&,
                               Section& section) {
    std::uint64_t bytes = 0;
    auto place = table.size(key, range, bytes);
    if (place) section.*member = bytes;
    return place;
  };
  return value;
}

// One of a few words, in the order of the enum's values.
template <typename Section, typename Enum, std::size_t N>
Value<Section> word(Enum Section::*member, const std::array<const char*, N>& words) {
  Value<Section> value = bound(member, "_word_");
  value.words.assign(words.begin(), words.end());
  value.read = [member, known = value.words](TableReader& table, const std::string& key,
                                             const Loading&, Section& section) {
    auto chosen = static_cast<std::size_t>(section.*member);
    auto place = table.choice(key, known, chosen);
    section.*member = static_cast<Enum>(chosen);
    return place;
  };
  return value;
}

}  // namespace holdfast::value
