#include "common/cli/find_agent.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "common/admin/listeners.h"
#include "common/admin/snapshot_json.h"
#include "common/cli/cli.h"
#include "common/cli/http_client.h"

namespace holdfast {
namespace {

// For one question of many: what is stuck must not hold up the others for long.
constexpr Duration kLookTimeout = seconds(2);

Result<AgentSnapshot> status_of(const std::string& socket) {
  auto answer = ask_agent(socket, "GET", "/v1/status", kLookTimeout);
  if (auto* unanswered = std::get_if<Unanswered>(&answer)) return Error{unanswered->reason};
  return parse_status(std::get<HttpAnswer>(answer).body);
}

bool runs(AgentKind kind, const std::string& socket, const std::string& name) {
  int error = connect_unix(socket).error;
  if (error != 0 && error != EACCES && error != EPERM) return false;  // a dead agent's
  if (name.starts_with(to_string(kind))) return true;
  if (error != 0) return false;
  Result<AgentSnapshot> status = status_of(socket);
  return status && status->kind == kind;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : ", ") + part;
  return out;
}

std::variant<FoundPlace, NotFound> place_of(const std::string& socket, Wanted wanted) {
  if (wanted == Wanted::agent) return FoundPlace{"", socket};
  auto answer = ask_agent(socket, "GET", "/v1/status");
  if (auto* unanswered = std::get_if<Unanswered>(&answer)) {
    return NotFound{unanswered->permission ? kExitPermission : kExitUnreachable,
                    unanswered->reason + ", or say which config: -c FILE"};
  }
  Result<AgentSnapshot> status = parse_status(std::get<HttpAnswer>(answer).body);
  if (!status) return NotFound{kExitUnreachable, socket + ": " + status.error().message};
  return FoundPlace{status->config_path, ""};
}

}  // namespace

std::vector<std::string> running_agents(AgentKind kind, const std::string& folder) {
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    std::string name = entry.path().filename().string();
    if (name.ends_with(".sock") && runs(kind, entry.path().string(), name)) {
      found.push_back(entry.path().string());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::variant<FoundPlace, NotFound> find_place(AgentKind kind, const SaidPlace& said, Wanted wanted,
                                              const AgentPlaces& places) {
  if (!said.config.empty()) return FoundPlace{said.config, said.socket};
  if (!said.socket.empty()) return place_of(said.socket, wanted);
  const char* variable = std::getenv("HOLDFAST_CONFIG");
  if (variable != nullptr && *variable != '\0') return FoundPlace{variable, ""};
  std::vector<std::string> running = running_agents(kind, places.runtime);
  if (running.size() == 1) return place_of(running.front(), wanted);
  if (running.size() > 1) {
    return NotFound{kExitUsage, "several agents run here (" + joined(running) +
                                    "): say which one, by -c FILE or --socket PATH"};
  }
  std::string usual = places.configs + "/" + std::string(to_string(kind)) + ".toml";
  bool there = ::access(usual.c_str(), F_OK) == 0 || errno == EACCES;
  if (there || wanted == Wanted::place) return FoundPlace{usual, ""};
  return NotFound{kExitUsage,
                  "which config? add -c FILE or set HOLDFAST_CONFIG; no agent runs in " +
                      places.runtime + ", and there is no " + usual};
}

}  // namespace holdfast
