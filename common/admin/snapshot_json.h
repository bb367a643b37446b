// Snapshots as JSON: what the admin socket answers and what `--json` prints. Durations are seconds
// (..._s), sizes bytes, instants RFC 3339 in UTC; what is not known is null. Members are only ever
// added, so scripts may rely on them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/admin/admin_server.h"
#include "common/admin/snapshot.h"
#include "common/base/result.h"

namespace holdfast {

// An object; without the connections themselves.
std::string status_json(const AgentSnapshot& snapshot);
// Arrays, one object a line.
std::string links_json(const std::vector<LinkSnapshot>& links);
std::string connections_json(const std::vector<ConnectionSnapshot>& connections);
// An object, as those of connections_json().
std::string connection_json(const ConnectionSnapshot& connection);
// {"ready":false,"reason":"...","connections_safe":3,"safe_for_s":288.0,...}
std::string ready_json(const AgentSnapshot& snapshot);
// The same after "alive":true.
std::string home_json(const AgentSnapshot& snapshot);
std::string alive_json(const AgentSnapshot& snapshot);
// What there is to say when the agent's loop does not answer.
std::string stuck_json(std::string_view reason);
// {"ok":true,"message":"..."}
std::string result_json(const CommandResult& result);
// {"error":"..."}
std::string error_json(std::string_view reason);

// The way back, for the tables: from this or another version's agent, so what is missing takes its
// default, and only what is not the expected shape is an error.
Result<AgentSnapshot> parse_status(std::string_view text);
Result<std::vector<ConnectionSnapshot>> parse_connections(std::string_view text);
Result<ConnectionSnapshot> parse_one_connection(std::string_view text);
// The text of "message", "error" or "reason"; empty when there is none.
std::string parse_message(std::string_view text);

}  // namespace holdfast
