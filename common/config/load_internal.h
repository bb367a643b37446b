// The two kinds of config file, each read from its root table. Problems go to the report; the
// config returned is meaningful only when that holds no error.
#pragma once

#include "common/config/config.h"
#include "common/config/keys.h"
#include "common/config/rules.h"
#include "common/config/toml_tree.h"

namespace holdfast {

ClientConfig read_client(const TomlNode& root, const Loading& loading);
ServerConfig read_server(const TomlNode& root, const Loading& loading);

// ---- What both are made of

// Reports the keys of the table that nobody knows. `name` is that of a named section.
template <typename Section>
void finish_table(const SectionKeys<Section>& section, TableReader& table,
                  const std::string& name = "") {
  std::vector<TableReader::Elsewhere> elsewhere = section.elsewhere;
  for (TableReader::Elsewhere& each : elsewhere) {
    const std::size_t at = each.hint.find("NAME");
    if (!name.empty() && at != std::string::npos) each.hint.replace(at, 4, name);
  }
  table.finish(elsewhere);
}

// The keys at the top of the file, and [limits].
void read_agent_top(Side side, TableReader& top, const Loading& loading, CommonConfig& out);
// [nft], [admin] and [log]. The other listeners are known before.
void read_agent_tables(Side side, TableReader& top, const Loading& loading, Listeners& listeners,
                       CommonConfig& out);
// The table tls of a link; nothing where there is none.
std::optional<TlsConfig> read_tls(const SectionKeys<TlsConfig>& keys, TableReader& link,
                                  const Loading& loading);

}  // namespace holdfast
