#include "common/admin/connection_query.h"

#include <algorithm>
#include <charconv>
#include <tuple>

#include "common/config/nearest.h"
#include "common/log/percent.h"

namespace holdfast {
namespace {

constexpr ConnectionSort kSorts[] = {
    ConnectionSort::opened,   ConnectionSort::age,      ConnectionSort::idle,
    ConnectionSort::bytes,    ConnectionSort::up,       ConnectionSort::down,
    ConnectionSort::rate,     ConnectionSort::unacked,  ConnectionSort::queued,
    ConnectionSort::replayed, ConnectionSort::detached, ConnectionSort::resumes};

template <typename T, std::size_t size>
std::vector<std::string> names(const T (&all)[size]) {
  std::vector<std::string> out;
  for (T one : all) out.emplace_back(to_string(one));
  return out;
}

std::string word_of(const QueryWords& words, const char* key) {
  auto found = words.find(key);
  return found == words.end() ? "" : found->second;
}

std::uint64_t since(Duration duration) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0));
}

std::uint64_t weight(const ConnectionSnapshot& one, ConnectionSort sort) {
  switch (sort) {
    case ConnectionSort::opened:
    case ConnectionSort::rate:
      return 0;
    case ConnectionSort::age:
      return since(one.duration);
    case ConnectionSort::idle:
      return since(one.idle);
    case ConnectionSort::bytes:
      return one.bytes_up + one.bytes_down;
    case ConnectionSort::up:
      return one.bytes_up;
    case ConnectionSort::down:
      return one.bytes_down;
    case ConnectionSort::unacked:
      return one.unacked_bytes;
    case ConnectionSort::queued:
      return one.queued_bytes;
    case ConnectionSort::replayed:
      return one.replayed_bytes;
    case ConnectionSort::detached:
      return since(one.detached);
    case ConnectionSort::resumes:
      return one.resumes;
  }
  return 0;
}

// Ids count up within a link: "3fa9c1d2-9" was opened before "3fa9c1d2-10".
auto order_of_opening(const ConnectionSnapshot& one) {
  return std::tuple<const std::string&, std::size_t, const std::string&>(one.link, one.id.size(),
                                                                         one.id);
}

bool fits(const ConnectionSnapshot& one, const ConnectionQuery& query) {
  if (!query.service.empty() && one.service != query.service) return false;
  if (query.state && one.state != *query.state) return false;
  return query.client.empty() || one.client.find(query.client) != std::string::npos ||
         one.peer.find(query.client) != std::string::npos;
}

}  // namespace

std::string_view to_string(ConnectionSort sort) {
  switch (sort) {
    case ConnectionSort::opened:
      return "opened";
    case ConnectionSort::age:
      return "age";
    case ConnectionSort::idle:
      return "idle";
    case ConnectionSort::bytes:
      return "bytes";
    case ConnectionSort::up:
      return "up";
    case ConnectionSort::down:
      return "down";
    case ConnectionSort::rate:
      return "rate";
    case ConnectionSort::unacked:
      return "unacked";
    case ConnectionSort::queued:
      return "queued";
    case ConnectionSort::replayed:
      return "replayed";
    case ConnectionSort::detached:
      return "detached";
    case ConnectionSort::resumes:
      return "resumes";
  }
  return "invalid";
}

Result<ConnectionQuery> parse_connection_query(const QueryWords& words) {
  ConnectionQuery query;
  query.service = word_of(words, "service");
  query.client = word_of(words, "client");
  if (std::string state = word_of(words, "state"); !state.empty()) {
    query.state = connection_state_from(state);
    if (!query.state) return Error{unknown_word("state", state, names(kConnectionStates))};
  }
  if (std::string sort = word_of(words, "sort"); !sort.empty()) {
    auto found = std::find_if(std::begin(kSorts), std::end(kSorts),
                              [&](ConnectionSort one) { return to_string(one) == sort; });
    if (found == std::end(kSorts)) return Error{unknown_word("sort key", sort, names(kSorts))};
    query.sort = *found;
  }
  if (std::string limit = word_of(words, "limit"); !limit.empty()) {
    const char* end = limit.data() + limit.size();
    auto read = std::from_chars(limit.data(), end, query.limit);
    if (read.ec != std::errc{} || read.ptr != end || query.limit == 0) {
      return Error{"the limit \"" + limit + "\" is no number of rows; write 20, say"};
    }
  }
  return query;
}

QueryWords words_of(const ConnectionQuery& query) {
  QueryWords words;
  if (!query.service.empty()) words["service"] = query.service;
  if (query.state) words["state"] = to_string(*query.state);
  if (!query.client.empty()) words["client"] = query.client;
  if (query.sort != ConnectionSort::opened) words["sort"] = to_string(query.sort);
  if (query.limit != 0) words["limit"] = std::to_string(query.limit);
  return words;
}

std::string query_string(const ConnectionQuery& query) {
  std::string out;
  for (const auto& [key, value] : words_of(query)) {
    out += (out.empty() ? "?" : "&") + key + "=" + percent_encoded(value);
  }
  return out;
}

std::string unknown_service(const ConnectionQuery& query,
                            const std::map<std::string, ServiceCounters>& services) {
  if (query.service.empty() || services.count(query.service) != 0) return "";
  std::vector<std::string> known;
  for (const auto& [name, counters] : services) known.push_back(name);
  return unknown_word("service", query.service, known);
}

std::vector<ConnectionSnapshot> chosen(std::vector<ConnectionSnapshot> connections,
                                       const ConnectionQuery& query) {
  std::erase_if(connections, [&](const ConnectionSnapshot& one) { return !fits(one, query); });
  auto before = [&](const ConnectionSnapshot& one, const ConnectionSnapshot& other) {
    std::uint64_t ours = weight(one, query.sort), theirs = weight(other, query.sort);
    if (ours != theirs) return ours > theirs;
    return order_of_opening(one) < order_of_opening(other);
  };
  if (query.limit == 0 || query.limit >= connections.size()) {
    std::sort(connections.begin(), connections.end(), before);
    return connections;
  }
  auto end = connections.begin() + static_cast<std::ptrdiff_t>(query.limit);
  std::partial_sort(connections.begin(), end, connections.end(), before);
  connections.erase(end, connections.end());
  return connections;
}

}  // namespace holdfast
