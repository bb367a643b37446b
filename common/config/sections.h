// The tables that both sides' config files have alike, and the checks that need the machine.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/config/config.h"
#include "common/config/load.h"
#include "common/config/table_reader.h"

namespace holdfast {

// What reading a file needs throughout.
struct Loading {
  Report& report;
  Surroundings surroundings{};
  std::vector<KeyFact>* catalogue = nullptr;  // see table_reader.h

  // A path as the config means it: relative ones lie in the main file's folder.
  std::string resolve(const std::string& path) const;
};

inline constexpr DurationRange kHeartbeatRange = {milliseconds(10), seconds(3600)};
inline constexpr DurationRange kDeadAfterRange = {milliseconds(20), seconds(24 * 3600)};
inline constexpr DurationRange kTimeoutRange = {milliseconds(10), seconds(3600)};
inline constexpr DurationRange kCheckRange = {milliseconds(100), seconds(3600)};
inline constexpr DurationRange kGraceRange = {seconds(1), seconds(7 * 24 * 3600)};
inline constexpr DurationRange kShutdownRange = {seconds(0), seconds(7 * 24 * 3600)};
inline constexpr SizeRange kWindowRange = {16 * kKiB, 1024 * kMiB};
inline constexpr SizeRange kMemoryRange = {kMinMemory, std::uint64_t{1} << 40};
inline constexpr CountRange kConnectionsRange = {1, 10'000'000};
inline constexpr CountRange kConnectionLinesRange = {1, 10'000'000};
// No more than a server gives one client where it says nothing (`[clients.NAME] links`).
inline constexpr CountRange kParallelRange = {1, 16};
inline constexpr CountRange kThreadsRange = {1, 256};

// Addresses that this agent binds, to find two uses of one.
class Listeners {
 public:
  // Reports a clash with an address added before. Uses of the same sort share one, unless it is "".
  void add(const ListenAddress& address, const Place& place, Report& report,
           const std::string& shared_by = "");

 private:
  struct Entry {
    ListenAddress address;
    Place place;
    std::string shared_by;
  };
  std::vector<Entry> entries_;
};

AdminConfig read_admin(TableReader table, const Loading& loading, const char* default_socket,
                       Listeners& listeners);
LimitsConfig read_limits(TableReader table, const Loading& loading);
LogConfig read_log(TableReader table, const Loading& loading);

// `top` is the file's root.
void read_threads(TableReader& top, unsigned& threads);
// Every thread's part of the limits must be something.
void check_threads(const TableReader& top, const Loading& loading, unsigned threads,
                   const LimitsConfig& limits);

// An agent's own name; stays as it is when the key is absent or wrong.
void read_name(TableReader& top, const Loading& loading, std::string& name);

// dead_after must leave time for a heartbeat to be answered. A place is absent where the default
// stands.
struct Liveness {
  Duration heartbeat{};
  std::optional<Place> heartbeat_place;
  Duration dead_after{};
  std::optional<Place> dead_after_place;
};
void check_liveness(const Liveness& liveness, const Loading& loading);

// How a carrier's bytes are paced (tcp(7), TCP_CONGESTION): one that this host has and lets us use.
std::optional<std::string> read_congestion_control(TableReader& link, const Loading& loading);
void check_max_window(const std::optional<Place>& place, std::uint64_t max_window,
                      const LimitsConfig& limits, const Loading& loading);

enum class Side { client, server };
NftConfig read_nft(TableReader table, const Loading& loading, Side side);
// Nothing when the table is absent. All of its files are required.
std::optional<TlsConfig> read_tls(TableReader table, const Loading& loading, Side side);

// Says loudly that unsafe_plaintext is on.
void warn_of_plaintext(const Place& place, const Loading& loading);

// A psk_file. The file itself is looked at unless surroundings are ignored; when `used` is false
// (plaintext), only what exposes a secret is an error.
struct PskFile {
  std::string path;
  std::optional<std::string> id;  // of the key in it, when it was looked at
  Place place;
};
std::optional<PskFile> read_psk_file(TableReader& table, const Loading& loading, bool used);

// Reads one word out of a fixed list; the words are in the order of the enum's values.
template <typename Enum, std::size_t N>
std::optional<Place> read_choice(TableReader& table, const std::string& key,
                                 const std::array<const char*, N>& words, Enum& out) {
  auto chosen = static_cast<std::size_t>(out);
  auto place = table.choice(key, {words.begin(), words.end()}, chosen);
  out = static_cast<Enum>(chosen);
  return place;
}

inline constexpr std::array<const char*, 3> kSendProxyWords = {"off", "v1", "v2"};
inline constexpr std::array<const char*, 3> kModeWords = {"explicit", "redirect", "tproxy"};
inline constexpr std::array<const char*, 2> kSourceWords = {"agent", "client"};

// An array of networks ("10.0.0.0/8", "2001:db8::/32", "10.0.0.5") or of patterns with ports
// ("10.0.5.0/24:5432"), or one alone. The place of the key where it stands.
std::optional<Place> read_networks(TableReader& table, const std::string& key,
                                   const Loading& loading, std::vector<Network>& out);
std::optional<Place> read_patterns(TableReader& table, const std::string& key,
                                   const Loading& loading, std::vector<AddressPattern>& out);

void note_unix_socket(const Place& place, const Loading& loading);

}  // namespace holdfast
