#include "common/config/values_text.h"

#include <algorithm>
#include <charconv>

#include "common/base/dns_name.h"
#include "common/config/config.h"
#include "common/config/files.h"

namespace holdfast {

std::string Loading::resolve(const std::string& path) const {
  return resolve_path(path, report.file());
}

namespace value {
namespace {

// A shell's habit; here it would be a folder of that name.
void refuse_tilde(const std::string& path, const Place& place, const Loading& loading) {
  if (!path.starts_with("~")) return;
  loading.report.error(place, "~ is not expanded in " + path, "write the whole path");
}

// A key pasted where its file's path belongs would end up in messages and logs.
bool is_key_itself(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (text.starts_with(kCredentialPrefix)) return false;
  const std::string tail = colon == std::string::npos ? text : text.substr(colon + 1);
  return tail.size() >= 32 && tail.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
}

bool has_only(std::string_view text, std::string_view marks) {
  return std::all_of(text.begin(), text.end(), [marks](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           marks.find(c) != std::string_view::npos;
  });
}

bool is_number(std::string_view text) {
  std::uint32_t number = 0;
  auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
  return failure == std::errc() && end == text.data() + text.size();
}

bool is_exclusion(std::string_view text) {
  std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon + 1 == text.size()) return false;
  std::string_view kind = text.substr(0, colon), value = text.substr(colon + 1);
  // Without a mark a packet has the mark 0: all would be excluded.
  if (kind == "mark") return is_number(value) && value.find_first_not_of('0') != value.npos;
  if (kind == "uid") return has_only(value, "_.-");
  return kind == "cgroup" && value.front() != '/' && value.back() != '/' &&
         has_only(value, "_.-@:/") && value.find("//") == std::string_view::npos;
}

}  // namespace

std::optional<std::string> read_home(const std::string& text, const Place& place,
                                     const Loading& loading) {
  if (is_dns_name(text)) return text;
  loading.report.error(place, "\"" + text + "\" is no DNS name",
                       "write one such as \"hub-1.hub.example.org\"");
  return std::nullopt;
}

std::optional<std::string> read_sni(const std::string& text, const Place& place,
                                    const Loading& loading) {
  if (text == kNoSni) return text;
  return read_home(text, place, loading);
}

std::optional<Place> read_account(TableReader& table, const std::string& key,
                                  const Loading& loading,
                                  Result<std::uint32_t> (*find)(const std::string& name),
                                  std::optional<Account>& out) {
  Account account;
  auto place = table.text(key, account.name);
  if (!place) return std::nullopt;
  if (loading.surroundings != Environment::ignored) {
    auto id = find(account.name);
    if (!id) {
      loading.report.error(*place, id.error().message,
                           "make it (useradd --system, groupadd --system), or name another");
      return std::nullopt;
    }
    account.id = *id;
  }
  out = std::move(account);
  return place;
}

std::optional<std::string> read_name(const std::string& text, const Place& place,
                                     const Loading& loading) {
  if (is_valid_name(text)) return text;
  loading.report.error(place, "\"" + text + "\" cannot be a name", kNameRule);
  return std::nullopt;
}

std::optional<std::string> read_path(const std::string& text, const Place& place,
                                     const Loading& loading) {
  refuse_tilde(text, place, loading);
  return loading.resolve(text);
}

std::optional<std::string> read_secret_path(const std::string& text, const Place& place,
                                            const Loading& loading) {
  if (!is_key_itself(text)) return read_path(text, place, loading);
  loading.report.error(place, "this is a key, not the path of a file that holds it",
                       "write it to a file of mode 600, and treat this key as known to others");
  return std::nullopt;
}

std::optional<std::string> read_socket_path(const std::string& text, const Place& place,
                                            const Loading& loading) {
  return read_path(text.starts_with("unix:") ? text.substr(5) : text, place, loading);
}

// nft(8): a letter, then letters, digits, / \\ _ and . ; fewer here.
std::optional<std::string> read_table_name(const std::string& text, const Place& place,
                                           const Loading& loading) {
  bool good = text.size() <= kMaxNameBytes && has_only(text, "_") &&
              !(text.front() >= '0' && text.front() <= '9');
  if (good) return text;
  loading.report.error(place, "\"" + text + "\" is no name for a table of nftables",
                       "a letter, then letters, digits and _");
  return std::nullopt;
}

Result<std::string> parse_exclusion(std::string_view text) {
  if (is_exclusion(text)) return std::string(text);
  return Error{"\"" + std::string(text) + "\" excludes nobody"};
}

}  // namespace value
}  // namespace holdfast
