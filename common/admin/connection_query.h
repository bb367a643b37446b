// Which connections to show, and in which order: what `connections` takes as options and the admin
// socket as a query string, so that thousands do not travel for three.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/admin/snapshot.h"
#include "common/base/result.h"

namespace holdfast {

enum class ConnectionSort : std::uint8_t {
  opened,  // as they were opened, by link
  age,     // from here on the largest first
  idle,    // longest without a byte
  bytes,   // both ways
  up,
  down,
  rate,  // bytes a second, both ways: known only to who has looked twice (--watch)
  unacked,
  queued,
  replayed,
  detached,
  resumes,
};
std::string_view to_string(ConnectionSort sort);

struct ConnectionQuery {
  std::string service;  // empty: all; so with the others
  std::optional<ConnectionState> state;
  std::string client;  // a part of the application's address or of the peer's name
  ConnectionSort sort = ConnectionSort::opened;
  std::size_t limit = 0;  // 0: all
  bool operator==(const ConnectionQuery&) const = default;
};

using QueryWords = std::map<std::string, std::string>;  // service state client sort limit

// Errors name the word and the nearest known one.
Result<ConnectionQuery> parse_connection_query(const QueryWords& words);
QueryWords words_of(const ConnectionQuery& query);
// The same as a query string, "?service=web&limit=3" or "".
std::string query_string(const ConnectionQuery& query);

// No service of this name: says which are there. Empty when all is well.
std::string unknown_service(const ConnectionQuery& query,
                            const std::map<std::string, ServiceCounters>& services);

// What the query asks for, in its order. Sorting by rate is left to who knows rates.
std::vector<ConnectionSnapshot> chosen(std::vector<ConnectionSnapshot> connections,
                                       const ConnectionQuery& query);

}  // namespace holdfast
