#include "common/config/load.h"

#include <algorithm>
#include <variant>

#include "common/config/load_internal.h"
#include "common/config/merge.h"

namespace holdfast {
namespace {

// Adds one file to the tree, or says why not.
void add_source(const ConfigSource& source, int file, TomlNode& root, Report& report) {
  if (const auto* fault = std::get_if<FileFault>(&source.content)) {
    report.error(Place{0, "", file}, fault->reason, fault->hint, fault->kind);
    report.set_incomplete();
    return;
  }
  std::variant<TomlNode, TomlFault> parsed = parse_toml(std::get<std::string>(source.content));
  if (const auto* fault = std::get_if<TomlFault>(&parsed)) {
    report.error(Place{fault->line, "", file}, fault->reason, fault->hint);
    report.set_incomplete();
    return;
  }
  merge(root, std::get<TomlNode>(std::move(parsed)), file, report);
}

const TomlNode* member(const TomlNode* node, std::string_view key) {
  const auto* table = node != nullptr ? std::get_if<TomlTable>(&node->value) : nullptr;
  if (table == nullptr) return nullptr;
  auto found =
      std::find_if(table->begin(), table->end(), [&](const auto& each) { return each.key == key; });
  return found == table->end() ? nullptr : &found->node;
}

// A file that could not be read may have held what decides where the socket is.
bool names_socket(const TomlNode& root) {
  return member(member(&root, "admin"), "socket") != nullptr;
}

template <typename Loaded, typename Read>
Loaded parse(const std::vector<ConfigSource>& sources, Environment surroundings, Read read) {
  Report report(sources.front().path);
  Loaded loaded;
  TomlNode root{1, TomlTable{}, 0};
  for (const ConfigSource& source : sources) {
    const bool main = &source == &sources.front();
    add_source(source, main ? 0 : report.add_file(source.path), root, report);
    if (!main && std::holds_alternative<std::string>(source.content)) {
      loaded.fragments.push_back(source.path);
    }
  }
  auto config = read(root, Loading{report, surroundings});
  if (!report.incomplete() || names_socket(root)) loaded.admin_socket = config.admin.socket;
  if (!report.failed()) loaded.config = std::move(config);
  loaded.problems = report.take();
  loaded.tls_tables = report.take_tls_tables();
  loaded.sources = sources;
  return loaded;
}

std::vector<ConfigSource> one_source(std::string_view text, const std::string& path) {
  std::vector<ConfigSource> sources;
  sources.push_back({path, std::string(text)});
  return sources;
}

}  // namespace

LoadedClient load_client_config(const std::string& path, Environment surroundings) {
  return parse<LoadedClient>(read_sources(path), surroundings, read_client);
}

LoadedServer load_server_config(const std::string& path, Environment surroundings) {
  return parse<LoadedServer>(read_sources(path), surroundings, read_server);
}

LoadedClient parse_client_config(std::string_view text, const std::string& path,
                                 Environment surroundings) {
  return parse<LoadedClient>(one_source(text, path), surroundings, read_client);
}

LoadedServer parse_server_config(std::string_view text, const std::string& path,
                                 Environment surroundings) {
  return parse<LoadedServer>(one_source(text, path), surroundings, read_server);
}

LoadedClient parse_client_config(const std::vector<ConfigSource>& sources,
                                 Environment surroundings) {
  return parse<LoadedClient>(sources, surroundings, read_client);
}

LoadedServer parse_server_config(const std::vector<ConfigSource>& sources,
                                 Environment surroundings) {
  return parse<LoadedServer>(sources, surroundings, read_server);
}

}  // namespace holdfast
