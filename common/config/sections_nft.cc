// [nft]: what the rules are called and whom they leave alone.
#include <algorithm>
#include <charconv>

#include "common/config/sections.h"

namespace holdfast {
namespace {

constexpr CountRange kMarkRange = {1, 0x7fffffff};
// The kernel has tables of its own up to 255 (ip-route(8)).
constexpr CountRange kRouteTableRange = {256, 0x7fffffff};

bool has_only(std::string_view text, std::string_view marks) {
  return std::all_of(text.begin(), text.end(), [marks](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           marks.find(c) != std::string_view::npos;
  });
}

// nft(8): a letter, then letters, digits, / \\ _ and . ; fewer here.
bool is_table_name(const std::string& name) {
  return !name.empty() && name.size() <= kMaxNameBytes && has_only(name, "_") &&
         !(name.front() >= '0' && name.front() <= '9');
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

NftConfig read_nft(TableReader table, const Loading& loading, Side side) {
  NftConfig out;
  if (side == Side::server) out.table = "holdfast_server";
  if (const auto place = table.text("table", out.table); place && !is_table_name(out.table)) {
    loading.report.error(*place, "\"" + out.table + "\" is no name for a table of nftables",
                         "a letter, then letters, digits and _");
  }
  table.count("mark", kMarkRange, out.mark);
  table.count("route_table", kRouteTableRange, out.route_table);
  if (side == Side::client) {
    std::vector<TextItem> items;
    table.texts("exclude", TableReader::Single::accepted, items);
    for (const TextItem& item : items) {
      if (is_exclusion(item.text)) {
        out.exclude.push_back(item.text);
      } else {
        loading.report.error(item.place, "\"" + item.text + "\" excludes nobody",
                             "write uid:holdfast, cgroup:system.slice/holdfast-client.service or "
                             "mark:18503");
      }
    }
  }
  table.finish({{"exclude", "it stands in the client's config"}});
  return out;
}

}  // namespace holdfast
