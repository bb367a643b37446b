#include "common/config/sections.h"

#include <grp.h>

#include <algorithm>
#include <array>

#include "common/config/files.h"
#include "common/config/psk.h"
#include "common/config/units.h"

namespace holdfast {
namespace {

constexpr std::size_t kMaxPemBytes = std::size_t{1} << 20;

constexpr std::array<const char*, 5> kLevels = {"error", "warn", "info", "debug", "trace"};
constexpr std::array<const char*, 3> kFormats = {"text", "json", "journal"};

// A shell's habit; here it would be a folder of that name.
void refuse_tilde(const std::string& path, const Place& place, const Loading& loading) {
  if (!path.starts_with("~")) return;
  loading.report.error(place, "~ is not expanded in " + path, "write the whole path");
}

std::optional<std::string> read_path(TableReader& table, const std::string& key,
                                     const Loading& loading) {
  std::string path;
  const auto place = table.text(key, path);
  if (!place) return std::nullopt;
  refuse_tilde(path, *place, loading);
  return loading.resolve(path);
}

void read_admin_socket(TableReader& table, const Loading& loading, std::string& socket,
                       Listeners& listeners) {
  std::string text = socket;
  Place place = table.place_of("socket");
  if (const auto found = table.text("socket", text)) {
    place = *found;
    if (text.starts_with("unix:")) text = text.substr(5);
    refuse_tilde(text, place, loading);
    socket = loading.resolve(text);
  }
  if (socket.size() > kMaxUnixPathBytes) {
    loading.report.error(place, "the path of a Unix socket has at most 107 bytes, this one has " +
                                    std::to_string(socket.size()));
    return;
  }
  listeners.add(UnixAddress{socket}, place, loading.report);
}

void read_metrics(TableReader& table, const Loading& loading, AdminConfig& admin,
                  Listeners& listeners) {
  std::string text;
  const auto place = table.text("metrics", text, "\"127.0.0.1:9465\"");
  if (!place) return;
  const Result<TcpAddress> address = parse_tcp_address(text);
  if (!address.ok()) {
    loading.report.error(*place, address.error().message);
    return;
  }
  admin.metrics = *address;
  listeners.add(*address, *place, loading.report);
  if (!is_local(*address)) {
    loading.report.warning(*place, "whoever reaches " + text + " can read the metrics",
                           "use 127.0.0.1 or [::1] unless a firewall stands before it");
  }
}

void check_group(const std::string& group, const Place& place, const Loading& loading) {
  if (loading.surroundings == Surroundings::ignored) return;
  std::string buffer(16 * kKiB, '\0');
  struct group entry {};
  struct group* found = nullptr;
  const int failure = getgrnam_r(group.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (failure == ERANGE || found != nullptr) return;  // ERANGE: there, with very many members
  loading.report.error(place, "there is no group \"" + group + "\" on this machine",
                       "groupadd --system " + group);
}

// A certificate or CA file that the TLS library will read.
void check_open_file(const std::string& path, const Place& place, Privacy privacy,
                     const Loading& loading) {
  if (loading.surroundings == Surroundings::ignored) return;
  auto file = read_file(path, kMaxPemBytes, privacy);
  if (auto* text = std::get_if<std::string>(&file)) {
    wipe(*text);
    return;
  }
  const FileFault& fault = std::get<FileFault>(file);
  loading.report.error(place, fault.reason, fault.hint, fault.kind);
}

void read_tls_file(TableReader& table, const std::string& key, Privacy privacy,
                   const Loading& loading, std::string& out) {
  table.require(key, "[link.tls] needs ca_file, cert_file and key_file");
  if (const auto path = read_path(table, key, loading)) {
    out = *path;
    check_open_file(out, table.place_of(key), privacy, loading);
  }
}

// A key pasted where its file's path belongs would end up in messages and logs.
bool is_key_itself(const std::string& text) {
  const std::size_t colon = text.find(':');
  if (text.starts_with(kCredentialPrefix)) return false;
  const std::string tail = colon == std::string::npos ? text : text.substr(colon + 1);
  return tail.size() >= 32 && tail.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
}

}  // namespace

const char* to_string(LogLevel level) {
  return kLevels.at(static_cast<std::size_t>(level));
}
const char* to_string(SendProxy version) {
  return kSendProxyWords[static_cast<std::size_t>(version)];
}

const char* to_string(ServiceMode mode) {
  return kModeWords[static_cast<std::size_t>(mode)];
}

const char* to_string(SourceAddress source) {
  return kSourceWords[static_cast<std::size_t>(source)];
}

const char* to_string(LogFormat format) {
  return kFormats.at(static_cast<std::size_t>(format));
}

std::string Loading::resolve(const std::string& path) const {
  return resolve_path(path, report.file());
}

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

AdminConfig read_admin(TableReader table, const Loading& loading, const char* default_socket,
                       Listeners& listeners) {
  AdminConfig admin;
  admin.socket = default_socket;
  read_admin_socket(table, loading, admin.socket, listeners);
  read_metrics(table, loading, admin, listeners);
  std::string group;
  if (const auto place = table.text("group", group)) {
    admin.group = group;
    check_group(group, *place, loading);
  }
  table.finish();
  return admin;
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

LimitsConfig read_limits(TableReader table, const Loading& loading) {
  LimitsConfig limits;
  const auto memory_place = table.size("memory", kMemoryRange, limits.memory);
  const bool memory_known = memory_place.has_value() || !table.has("memory");
  const std::uint64_t fits = limits.memory / kMemoryPerConnection;
  // The rest is for windows that grow: on what each owns alone every connection crawls.
  limits.connections = std::min(kDefaultConnections, fits * 2 / 3);
  const auto place = table.count("connections", kConnectionsRange, limits.connections);
  if (place && memory_known) {
    check_room_for_windows(limits, *place, memory_place.has_value(), loading);
  }
  table.finish();
  return limits;
}

LogConfig read_log(TableReader table, const Loading& loading) {
  LogConfig log;
  read_choice(table, "level", kLevels, log.level);
  read_choice(table, "format", kFormats, log.format);
  table.count("connection_lines", kConnectionLinesRange, log.connection_lines);
  log.file = read_path(table, "file", loading);
  log.trace_file = read_path(table, "trace_file", loading);
  if (log.file && log.format == LogFormat::journal) {
    loading.report.warning(table.place_of("file"), "the journal takes the log, not this file",
                           "leave out file, or set format to text or json");
  }
  if (log.file && log.file == log.trace_file) {
    loading.report.error(table.place_of("trace_file"), "log and trace cannot share a file");
  }
  table.finish();
  return log;
}

void read_threads(TableReader& top, unsigned& threads) {
  std::uint64_t count = threads;
  if (top.count("threads", kThreadsRange, count)) threads = static_cast<unsigned>(count);
}

void check_threads(const TableReader& top, const Loading& loading, unsigned threads,
                   const LimitsConfig& limits) {
  if (limits.connections >= threads) return;
  loading.report.error(top.place_of("threads"),
                       "limits.connections is " + std::to_string(limits.connections) +
                           ", and each of " + std::to_string(threads) +
                           " threads has its part of them",
                       "set at most as many threads as connections");
}

void read_name(TableReader& top, const Loading& loading, std::string& name) {
  std::string text;
  const auto place = top.text("name", text);
  if (!place) return;
  if (is_valid_name(text)) {
    name = text;
  } else {
    loading.report.error(*place, "\"" + text + "\" cannot be a name", kNameRule);
  }
}

void check_liveness(const Liveness& liveness, const Loading& loading) {
  const std::optional<Place>& place =
      liveness.dead_after_place ? liveness.dead_after_place : liveness.heartbeat_place;
  if (!place) return;
  const std::string both =
      "dead_after (" + format_duration(liveness.dead_after) +
      (liveness.dead_after_place ? "" : ", the default") + ") must be longer than heartbeat (" +
      format_duration(liveness.heartbeat) + (liveness.heartbeat_place ? "" : ", the default") + ")";
  if (liveness.dead_after <= liveness.heartbeat) {
    // Where one is the default, the other may stand in a file that could not be read.
    const bool given = liveness.dead_after_place && liveness.heartbeat_place;
    if (given) loading.report.error(*place, both, "three heartbeats or more");
    if (!given) loading.report.missing(Severity::error, *place, both, "three heartbeats or more");
  } else if (liveness.dead_after < 2 * liveness.heartbeat) {
    loading.report.warning(*place, both + ", and twice as long at least to survive a late answer",
                           "three heartbeats or more");
  }
}

void check_max_window(const std::optional<Place>& place, std::uint64_t max_window,
                      const LimitsConfig& limits, const Loading& loading) {
  if (!place || max_window <= limits.memory) return;
  loading.report.warning(*place, "no window can grow to " + format_size(max_window) +
                                     ": limits.memory is " + format_size(limits.memory));
}

std::optional<TlsConfig> read_tls(TableReader table, const Loading& loading, Side side) {
  TlsConfig tls;
  if (!table.present()) return std::nullopt;
  read_tls_file(table, "ca_file", Privacy::open, loading, tls.ca_file);
  read_tls_file(table, "cert_file", Privacy::open, loading, tls.cert_file);
  read_tls_file(table, "key_file", Privacy::secret, loading, tls.key_file);
  auto named = [&](const std::string& key, const std::string& path) {
    const Place place = table.place_of(key);
    return TlsTable::File{path, place, loading.report.file_of(place)};
  };
  loading.report.note({named("ca_file", tls.ca_file), named("cert_file", tls.cert_file),
                       named("key_file", tls.key_file)});
  std::string server_name;
  if (side == Side::client && table.text("server_name", server_name)) tls.server_name = server_name;
  table.finish({{"server_name", "only the client verifies the server's name"}});
  return tls;
}

void warn_of_plaintext(const Place& place, const Loading& loading) {
  loading.report.warning(place,
                         "UNSAFE: the link is neither encrypted nor authenticated; whoever is on "
                         "the path reads and changes every byte, whoever reaches the port can be "
                         "any client",
                         "only for tests and wires that you trust wholly");
}

std::optional<PskFile> read_psk_file(TableReader& table, const Loading& loading, bool used) {
  std::string text;
  const auto place = table.text("psk_file", text);
  if (!place) return std::nullopt;
  if (is_key_itself(text)) {
    loading.report.error(*place, "this is a key, not the path of a file that holds it",
                         "write it to a file of mode 600, and treat this key as known to others");
    return std::nullopt;
  }
  PskFile file{loading.resolve(text), std::nullopt, *place};
  if (text.starts_with("~")) {
    refuse_tilde(text, *place, loading);
    return file;
  }
  if (loading.surroundings == Surroundings::ignored) return file;
  const LoadedPsk loaded = load_psk_file(file.path);
  if (loaded.psk) {
    file.id = loaded.psk->id;
  } else if (used || loaded.fault.kind == ProblemKind::permission) {
    loading.report.error(*place, loaded.fault.reason, loaded.fault.hint, loaded.fault.kind);
  } else {
    loading.report.warning(*place, loaded.fault.reason + "; it is not used with unsafe_plaintext",
                           loaded.fault.hint);
  }
  return file;
}

namespace {

template <typename T>
std::optional<Place> read_list(TableReader& table, const std::string& key, const Loading& loading,
                               Result<T> (*parse)(std::string_view), std::vector<T>& out) {
  std::vector<TextItem> items;
  auto place = table.texts(key, TableReader::Single::accepted, items);
  for (const TextItem& item : items) {
    Result<T> one = parse(item.text);
    if (!one) {
      loading.report.error(item.place, one.error().message);
    } else if (std::find(out.begin(), out.end(), *one) != out.end()) {
      loading.report.warning(item.place, item.text + " stands here twice");
    } else {
      out.push_back(*one);
    }
  }
  return place;
}

}  // namespace

std::optional<Place> read_networks(TableReader& table, const std::string& key,
                                   const Loading& loading, std::vector<Network>& out) {
  return read_list(table, key, loading, parse_network, out);
}

std::optional<Place> read_patterns(TableReader& table, const std::string& key,
                                   const Loading& loading, std::vector<AddressPattern>& out) {
  return read_list(table, key, loading, parse_address_pattern, out);
}

void note_unix_socket(const Place& place, const Loading& loading) {
  loading.report.warning(place,
                         "a Unix socket cannot carry a reset: an end by force looks like a clean "
                         "end to the application",
                         "use a TCP address where that matters");
}

}  // namespace holdfast
