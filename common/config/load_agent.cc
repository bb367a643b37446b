#include "common/config/load_internal.h"

namespace holdfast {

void read_agent_top(Side side, TableReader& top, const Loading& loading, CommonConfig& out) {
  read_keys(top_keys(side), top, loading, out);
  TableReader limits = top.table("limits");
  out.limits = read_section(limits_keys(side), limits, loading);
  rules::connections_fit_memory(limits, out.limits, loading);
  finish_table(limits_keys(side), limits);
  rules::threads_have_connections(top, out, loading);
}

void read_agent_tables(Side side, TableReader& top, const Loading& loading, Listeners& listeners,
                       CommonConfig& out) {
  TableReader nft = top.table("nft");
  out.nft = read_section(nft_keys(side), nft, loading);
  if (side == Side::client) read_keys(client_nft_keys(), nft, loading, out.nft);
  finish_table(nft_keys(side), nft);

  TableReader admin = top.table("admin");
  out.admin = read_section(admin_keys(side), admin, loading);
  rules::admin_listens_alone(admin, out.admin, listeners, loading);
  finish_table(admin_keys(side), admin);

  TableReader log = top.table("log");
  out.log = read_section(log_keys(side), log, loading);
  rules::log_files_are_used(log, out.log, loading);
  finish_table(log_keys(side), log);
}

std::optional<TlsConfig> read_tls(const SectionKeys<TlsConfig>& keys, TableReader& link,
                                  const Loading& loading) {
  TableReader table = link.table("tls");
  if (!table.present()) return std::nullopt;
  TlsConfig tls = read_section(keys, table, loading);
  rules::tls_files_are_readable(table, tls, loading);
  finish_table(keys, table);
  return tls;
}

}  // namespace holdfast
