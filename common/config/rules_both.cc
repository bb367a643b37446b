#include <algorithm>

#include "common/base/with_systemd.h"
#include "common/config/files.h"
#include "common/config/psk.h"
#include "common/config/rules.h"
#include "common/config/units.h"

namespace holdfast {

void Listeners::add(const ListenAddress& address, const Place& place, Report& report,
                    const std::string& shared_by) {
  for (const Entry& entry : entries_) {
    if (!clashes(entry.address, address)) continue;
    if (entry.address == address && !shared_by.empty() && entry.shared_by == shared_by) continue;
    report.error(place,
                 to_string(address) + " is taken by " + entry.place.key + " (" +
                     report.name_of(entry.place, place) + ")",
                 "give each its own address or port");
    return;
  }
  entries_.push_back(Entry{address, place, shared_by});
}

namespace rules {
namespace {

constexpr std::size_t kMaxPemBytes = std::size_t{1} << 20;

// A certificate or CA file that the TLS library will read.
void check_open_file(const std::string& path, const Place& place, Privacy privacy,
                     const Loading& loading) {
  if (loading.surroundings == Environment::ignored) return;
  auto file = read_file(path, kMaxPemBytes, privacy);
  if (auto* text = std::get_if<std::string>(&file)) {
    wipe(*text);
    return;
  }
  const FileFault& fault = std::get<FileFault>(file);
  loading.report.error(place, fault.reason, fault.hint, fault.kind);
}

// `limits.connections` is known, at `place`; `given`: so is the memory.
void check_room_for_windows(const LimitsConfig& limits, const Place& place, bool given,
                            const Loading& loading) {
  const std::uint64_t needed = limits.connections * kMemoryPerConnection;
  const std::string counted = std::to_string(limits.connections) + " connections";
  const std::string memory = "memory = \"" + format_size(limits.memory) + "\": each needs " +
                             format_size(kMemoryPerConnection);
  // Two thirds of the memory, as by default.
  const std::string fit =
      "at most " + std::to_string(limits.memory * 2 / 3 / kMemoryPerConnection) +
      ", or memory = \"" + std::to_string((needed * 3 / 2 + kMiB - 1) / kMiB) + "MiB\"";
  if (needed > limits.memory) {
    const std::string reason = counted + " do not fit in " + memory;
    if (given) loading.report.error(place, reason, fit);
    if (!given) loading.report.missing(Severity::error, place, reason, fit);
  } else if (needed > limits.memory / 4 * 3) {
    loading.report.warning(
        place,
        counted + " hardly fit in " + memory + ", and what is left of it lets no window grow", fit);
  }
}

}  // namespace

void metrics_are_local(const AdminConfig& admin, const Place& place, const Loading& loading) {
  if (is_local(*admin.metrics)) return;
  loading.report.warning(place,
                         "whoever reaches " + to_string(*admin.metrics) + " can read the metrics",
                         "use 127.0.0.1 or [::1] unless a firewall stands before it");
}

void no_reset_on_unix_socket(const Place& place, const Loading& loading) {
  loading.report.warning(place,
                         "a Unix socket cannot carry a reset: an end by force looks like a clean "
                         "end to the application",
                         "use a TCP address where that matters");
}

void admin_listens_alone(const TableReader& admin_table, const AdminConfig& admin,
                         Listeners& listeners, const Loading& loading) {
  const Place place = admin_table.place_of("socket");
  if (admin.socket.size() > kMaxUnixPathBytes) {
    loading.report.error(place, "the path of a Unix socket has at most 107 bytes, this one has " +
                                    std::to_string(admin.socket.size()));
  } else {
    listeners.add(UnixAddress{admin.socket}, place, loading.report);
  }
  if (admin.metrics) {
    listeners.add(*admin.metrics, admin_table.place_of("metrics"), loading.report);
  }
}

void connections_fit_memory(TableReader& table, LimitsConfig& limits, const Loading& loading) {
  const auto memory = table.filled("memory");
  const auto connections = table.filled("connections");
  if (!connections) {
    // The rest is for windows that grow: on what each owns alone every connection crawls.
    const std::uint64_t fits = limits.memory / kMemoryPerConnection;
    limits.connections = std::min(kDefaultConnections, fits * 2 / 3);
  } else if (memory || !table.has("memory")) {
    check_room_for_windows(limits, *connections, memory.has_value(), loading);
  }
}

void log_files_are_used(const TableReader& table, const LogConfig& log, const Loading& loading) {
  if (!kWithSystemd && log.format == LogFormat::journal) {
    loading.report.error(table.place_of("format"),
                         std::string(kNoSystemd) + ", which writes to the journal",
                         "set format to text or json: a unit's journal takes standard error, too");
    return;
  }
  if (log.file && log.format == LogFormat::journal) {
    loading.report.warning(table.place_of("file"), "the journal takes the log, not this file",
                           "leave out file, or set format to text or json");
  }
  if (log.file && log.file == log.trace_file) {
    loading.report.error(table.place_of("trace_file"), "log and trace cannot share a file");
  }
}

void threads_have_connections(const TableReader& top, const CommonConfig& agent,
                              const Loading& loading) {
  if (agent.limits.connections >= agent.threads) return;
  loading.report.error(top.place_of("threads"),
                       "limits.connections is " + std::to_string(agent.limits.connections) +
                           ", and each of " + std::to_string(agent.threads) +
                           " threads has its part of them",
                       "set at most as many threads as connections");
}

void dead_after_outlasts_heartbeat(const TableReader& link, Duration heartbeat, Duration dead_after,
                                   const Loading& loading) {
  const std::optional<Place> heartbeat_place = link.filled("heartbeat");
  const std::optional<Place> dead_after_place = link.filled("dead_after");
  const std::optional<Place>& place = dead_after_place ? dead_after_place : heartbeat_place;
  if (!place) return;
  const std::string both = "dead_after (" + format_duration(dead_after) +
                           (dead_after_place ? "" : ", the default") +
                           ") must be longer than heartbeat (" + format_duration(heartbeat) +
                           (heartbeat_place ? "" : ", the default") + ")";
  const std::string hint = "three heartbeats or more";
  if (dead_after <= heartbeat) {
    // Where one is the default, the other may stand in a file that could not be read.
    const bool given = dead_after_place && heartbeat_place;
    if (given) loading.report.error(*place, both, hint);
    if (!given) loading.report.missing(Severity::error, *place, both, hint);
  } else if (dead_after < 2 * heartbeat) {
    loading.report.warning(*place, both + ", and twice as long at least to survive a late answer",
                           hint);
  }
}

void window_fits_memory(const TableReader& link, std::uint64_t max_window,
                        const LimitsConfig& limits, const Loading& loading) {
  const auto place = link.filled("max_window");
  if (!place || max_window <= limits.memory) return;
  loading.report.warning(*place, "no window can grow to " + format_size(max_window) +
                                     ": limits.memory is " + format_size(limits.memory));
}

void plaintext_is_unsafe(const TableReader& link, bool unsafe_plaintext, const Loading& loading) {
  if (!unsafe_plaintext) return;
  loading.report.warning(link.place_of("unsafe_plaintext"),
                         "UNSAFE: the link is neither encrypted nor authenticated; whoever is on "
                         "the path reads and changes every byte, whoever reaches the port can be "
                         "any client",
                         "only for tests and wires that you trust wholly");
}

std::optional<std::string> psk_file_holds_key(const TableReader& table,
                                              const std::optional<std::string>& path, bool used,
                                              const Loading& loading) {
  const auto place = table.filled("psk_file");
  if (!place || loading.surroundings == Environment::ignored) return std::nullopt;
  if (table.peek("psk_file").front().text.starts_with("~")) return std::nullopt;  // reported
  const LoadedPsk loaded = load_psk_file(*path);
  if (loaded.psk) return loaded.psk->id;
  if (used || loaded.fault.kind == ProblemKind::permission) {
    loading.report.error(*place, loaded.fault.reason, loaded.fault.hint, loaded.fault.kind);
  } else {
    loading.report.warning(*place, loaded.fault.reason + "; it is not used with unsafe_plaintext",
                           loaded.fault.hint);
  }
  return std::nullopt;
}

void tls_files_are_readable(const TableReader& table, const TlsConfig& tls,
                            const Loading& loading) {
  auto named = [&](const std::string& key, const std::string& path, Privacy privacy) {
    const Place place = table.place_of(key);
    if (table.filled(key)) check_open_file(path, place, privacy, loading);
    return TlsTable::File{path, place, loading.report.file_of(place)};
  };
  loading.report.note({named("ca_file", tls.ca_file, Privacy::open),
                       named("cert_file", tls.cert_file, Privacy::open),
                       named("key_file", tls.key_file, Privacy::secret)});
}

}  // namespace rules
}  // namespace holdfast
