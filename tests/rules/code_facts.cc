// Prints names and numbers that users, peers and scripts see, as the programs have them, as JSON:
// causes, frames, parameters of the handshake, exit codes, HTTP paths, and metrics with their types
// and labels. The rules compare them with the docs, and with what they were.
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>

#include "common/admin/admin_server.h"
#include "common/admin/http_server.h"
#include "common/admin/metrics.h"
#include "common/cli/cli.h"
#include "common/config/config.h"
#include "common/core/trace.h"
#include "common/wire/cause.h"
#include "common/wire/parameters.h"

namespace {

using holdfast::AgentSnapshot;
using holdfast::Cause;
using Json = nlohmann::json;

// Every number that is no cause reads as `other`, whose own is the last.
Json causes() {
  Json found;
  for (unsigned code = 0; code <= 0xffff; ++code) {
    Cause cause = holdfast::cause_from_code(static_cast<std::uint16_t>(code));
    if (cause == Cause::other && code != static_cast<unsigned>(Cause::other)) continue;
    found[std::string(to_string(cause))] = code;
  }
  return found;
}

Json frames() {
  Json found;
  for (unsigned type = 0; type <= 0xff; ++type) {
    std::string_view name = to_string(static_cast<holdfast::FrameType>(type));
    if (name != "invalid") found[std::string(name)] = type;
  }
  return found;
}

Json parameters() {
  Json found;
  for (unsigned type = 0; type <= 0xffff; ++type) {
    std::string_view name = to_string(static_cast<holdfast::Parameter>(type));
    if (!name.empty()) found[std::string(name)] = type;
  }
  return found;
}

Json exit_codes() {
  return {{"kExitOk", holdfast::kExitOk},
          {"kExitFailed", holdfast::kExitFailed},
          {"kExitUsage", holdfast::kExitUsage},
          {"kExitUnreachable", holdfast::kExitUnreachable},
          {"kExitNotReady", holdfast::kExitNotReady},
          {"kExitPermission", holdfast::kExitPermission},
          {"kExitConfig", holdfast::kExitConfig}};
}

// Of which every metric has a value.
AgentSnapshot full_snapshot(holdfast::AgentKind kind) {
  using namespace holdfast;
  AgentSnapshot snapshot;
  snapshot.kind = kind;
  snapshot.listening = {"[::]:1"};
  snapshot.certificates = {{"link.tls.cert", 1}};
  snapshot.peers = {"edge"};
  LinkSnapshot live;
  live.peer = live.name = "edge";
  live.state = LinkState::live;
  live.rtt = seconds(1);
  LinkSnapshot down = live;
  down.peer = down.name = "far";
  down.state = LinkState::detached;
  down.grace_remaining = down.detached_for = seconds(1);
  snapshot.links = {live, down};
  snapshot.totals.carriers_refused = snapshot.totals.links_refused = {{Cause::auth, 1}};
  ServiceCounters& service = snapshot.services["web"];
  service.closed = {{Cause::client_fin, 1}};
  service.granted = true;
  service.target = Cause::none;
  return snapshot;
}

// Is never asked.
class Nobody final : public holdfast::Backend {
  holdfast::Result<AgentSnapshot> snapshot(const holdfast::SnapshotQuery&) override {
    return holdfast::Error{"nobody"};
  }
  holdfast::Result<std::optional<holdfast::ConnectionSnapshot>> connection(
      const std::string&) override {
    return holdfast::Error{"nobody"};
  }
  holdfast::CommandResult command(const holdfast::Command&) override { return {}; }
  holdfast::ReloadReport reload(const holdfast::ReloadRequest&) override { return {}; }
};

Json http_paths() {
  Nobody nobody;
  std::set<std::string> paths;
  for (const holdfast::HttpRoute& route : holdfast::admin_routes(nobody)) paths.insert(route.path);
  return paths;
}

// {name: {type, labels}} of Prometheus' text format.
void read_metrics(const std::string& text, std::map<std::string, std::string>& types,
                  std::map<std::string, std::set<std::string>>& labels) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("# TYPE ", 0) == 0) {
      std::istringstream words(line.substr(7));
      std::string name;
      std::string type;
      words >> name >> type;
      types[name] = type;
      labels[name];
      continue;
    }
    std::size_t open = line.find('{');
    if (line.empty() || line[0] == '#' || open == std::string::npos) continue;
    std::string name = line.substr(0, open);
    if (types.count(name) == 0) continue;  // a histogram's bucket
    // key="value",...; no value has a quote or a comma here.
    std::istringstream pairs(line.substr(open + 1, line.rfind('}') - open - 1));
    for (std::string pair; std::getline(pairs, pair, ',');) {
      if (!pair.empty()) labels[name].insert(pair.substr(0, pair.find('=')));
    }
  }
}

Json metrics() {
  std::map<std::string, std::string> types;
  std::map<std::string, std::set<std::string>> labels;
  for (auto kind : {holdfast::AgentKind::client, holdfast::AgentKind::server}) {
    read_metrics(holdfast::metrics_text(full_snapshot(kind)), types, labels);
  }
  Json found;
  for (const auto& [name, type] : types) found[name] = {{"type", type}, {"labels", labels[name]}};
  return found;
}

}  // namespace

int main() {
  Json facts = {{"causes", causes()},         {"frames", frames()},
                {"parameters", parameters()}, {"exit codes", exit_codes()},
                {"HTTP paths", http_paths()}, {"metrics", metrics()}};
  return std::puts(facts.dump(1).c_str()) >= 0 ? 0 : 1;
}
