// What a reload would change, key by key, and from when on each change counts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "common/config/reload_effect.h"

namespace holdfast {

// One clause, for people.
std::string_view to_string(ReloadEffect effect);

struct ConfigChange {
  std::string key;     // dotted, as in services.postgres.target
  std::string before;  // as the file writes it; empty: was not set
  std::string after;
  ReloadEffect effect{};
  std::string section;                // whose key it is: "services.postgres", "links.NAME", ""
  std::optional<std::uint64_t> live;  // connections that it concerns, where somebody counted them
};

// In order of the keys. A section that came or went is one change. Files that a config names are
// not looked at.
std::vector<ConfigChange> changes(const ClientConfig& before, const ClientConfig& after);
std::vector<ConfigChange> changes(const ServerConfig& before, const ServerConfig& after);

// What the keys of a client's link begin with: "link.", or "links.NAME.".
std::string link_prefix(const std::string& link);

// `wanted`, but with what needs a restart as it is `running`.
ClientConfig until_restart(const ClientConfig& running, ClientConfig wanted);
ServerConfig until_restart(const ServerConfig& running, ServerConfig wanted);

}  // namespace holdfast
