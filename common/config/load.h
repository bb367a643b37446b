// From TOML files to a config: all mistakes at once, each with file, line and key.
//
// What the files of [link.tls] hold is not looked at here, which would need a TLS library: their
// tables come with the config (see common/agent/credentials.h).
//
// A config is its main file and the fragments beside it (sources.h), merged (merge.h). A fragment
// reads as if it stood in the main file: a relative path starts at the main file's folder. A syntax
// error ends its own file; the others are checked all the same, but nothing is called missing then.
// No exception leaves these functions, whatever the files hold.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/config.h"
#include "common/config/problem.h"
#include "common/config/report.h"
#include "common/config/sources.h"

namespace holdfast {

struct LoadedClient {
  std::optional<ClientConfig> config;  // absent exactly when `problems` holds an error
  std::vector<Problem> problems;       // warnings too, which leave the config usable
  std::vector<TlsTable> tls_tables;    // also of a config with errors
  std::vector<std::string> fragments;  // paths of those that were read, in their order
  std::vector<ConfigSource> sources;   // what it was made of
  // Where the agent of this config listens for subcommands, also when the rest has mistakes; absent
  // when that cannot be told.
  std::optional<std::string> admin_socket;
};

struct LoadedServer {
  std::optional<ServerConfig> config;
  std::vector<Problem> problems;
  std::vector<TlsTable> tls_tables;
  std::vector<std::string> fragments;
  std::vector<ConfigSource> sources;
  std::optional<std::string> admin_socket;
};

// Whether what the text names is looked up on this machine: secrets and their permissions,
// certificates, the admin group.
enum class Environment { checked, ignored };

LoadedClient load_client_config(const std::string& path,
                                Environment surroundings = Environment::checked);
LoadedServer load_server_config(const std::string& path,
                                Environment surroundings = Environment::checked);

// The same from memory, without fragments; `path` names the text in messages and gives the folder
// for relative paths.
LoadedClient parse_client_config(std::string_view text, const std::string& path,
                                 Environment surroundings);
LoadedServer parse_server_config(std::string_view text, const std::string& path,
                                 Environment surroundings);

// The same with fragments: the first source is the main file. At least one.
LoadedClient parse_client_config(const std::vector<ConfigSource>& sources,
                                 Environment surroundings);
LoadedServer parse_server_config(const std::vector<ConfigSource>& sources,
                                 Environment surroundings);

}  // namespace holdfast
