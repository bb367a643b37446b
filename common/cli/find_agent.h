// Which config or agent a subcommand means when its command line does not say.
//
// In this order: -c FILE; $HOLDFAST_CONFIG; the agent of this kind that runs here, found by its
// admin socket in the runtime folder, /run/holdfast; /etc/holdfast/client.toml or server.toml.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "common/admin/snapshot.h"

namespace holdfast {

struct AgentPlaces {
  std::string runtime = "/run/holdfast";  // where the units' agents have their admin sockets
  std::string configs = "/etc/holdfast";
};

// What was said: -c and --socket. Empty where nothing was.
struct SaidPlace {
  std::string config;
  std::string socket;
};

// One of the two. A socket alone is enough for who asks the agent.
struct FoundPlace {
  std::string config;
  std::string socket;
};

struct NotFound {
  int code = 0;  // to exit with
  std::string reason;
};

enum class Wanted {
  agent,   // its socket will do
  config,  // a file's path
  place,   // the same; the usual config's where there is none yet
};

std::variant<FoundPlace, NotFound> find_place(AgentKind kind, const SaidPlace& said, Wanted wanted,
                                              const AgentPlaces& places);

// The admin sockets in the folder where an agent of this kind answers, or may: one that does not
// answer counts when its name begins with the kind, as client.sock and client-hub.sock do. Sorted.
std::vector<std::string> running_agents(AgentKind kind, const std::string& folder);

}  // namespace holdfast
