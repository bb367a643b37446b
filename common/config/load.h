// From a TOML file to a config: all mistakes at once, each with file, line and key.
//
// What the files of [link.tls] hold is not looked at here, which would need a TLS library: their
// tables come with the config (see common/agent/credentials.h).
//
// A syntax error ends its file, everything else is collected. No exception leaves these functions,
// whatever the file holds.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "common/config/problem.h"
#include "common/config/report.h"

namespace holdfast {

struct LoadedClient {
  std::optional<ClientConfig> config;  // absent exactly when `problems` holds an error
  std::vector<Problem> problems;       // warnings too, which leave the config usable
  std::vector<TlsTable> tls_tables;    // also of a config with errors
};

struct LoadedServer {
  std::optional<ServerConfig> config;
  std::vector<Problem> problems;
  std::vector<TlsTable> tls_tables;
};

LoadedClient load_client_config(const std::string& path);
LoadedServer load_server_config(const std::string& path);

// Whether what the text names is looked up on this machine: secrets and their permissions,
// certificates, the admin group.
enum class Surroundings { checked, ignored };

// The same from memory; `path` names the text in messages and gives the folder for relative paths.
LoadedClient parse_client_config(std::string_view text, const std::string& path,
                                 Surroundings surroundings);
LoadedServer parse_server_config(std::string_view text, const std::string& path,
                                 Surroundings surroundings);

}  // namespace holdfast
