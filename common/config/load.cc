#include "common/config/load.h"

#include <variant>

#include "common/config/files.h"
#include "common/config/load_internal.h"
#include "common/config/text_guard.h"

namespace holdfast {
namespace {

template <typename Loaded, typename Read>
Loaded parse(std::string_view text, const std::string& path, Surroundings surroundings, Read read) {
  Report report(path);
  Loaded loaded;
  const std::variant<TomlNode, TomlFault> parsed = parse_toml(text);
  if (const auto* fault = std::get_if<TomlFault>(&parsed)) {
    report.error(Place{fault->line, ""}, fault->reason);
  } else {
    auto config = read(std::get<TomlNode>(parsed), Loading{report, surroundings});
    if (!report.failed()) loaded.config = std::move(config);
  }
  loaded.problems = report.take();
  loaded.tls_tables = report.take_tls_tables();
  return loaded;
}

template <typename Loaded, typename Read>
Loaded load(const std::string& path, Read read) {
  const std::variant<std::string, FileFault> file = read_file(path, kMaxConfigBytes, Privacy::open);
  if (const auto* text = std::get_if<std::string>(&file)) {
    return parse<Loaded>(*text, path, Surroundings::checked, read);
  }
  const FileFault& fault = std::get<FileFault>(file);
  Report report(path);
  report.error(Place{0, ""}, fault.reason, fault.hint, fault.kind);
  Loaded loaded;
  loaded.problems = report.take();
  return loaded;
}

}  // namespace

LoadedClient load_client_config(const std::string& path) {
  return load<LoadedClient>(path, read_client);
}

LoadedServer load_server_config(const std::string& path) {
  return load<LoadedServer>(path, read_server);
}

LoadedClient parse_client_config(std::string_view text, const std::string& path,
                                 Surroundings surroundings) {
  return parse<LoadedClient>(text, path, surroundings, read_client);
}

LoadedServer parse_server_config(std::string_view text, const std::string& path,
                                 Surroundings surroundings) {
  return parse<LoadedServer>(text, path, surroundings, read_server);
}

}  // namespace holdfast
