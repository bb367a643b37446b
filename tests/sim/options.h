// Options: everything that one simulated world depends on, drawn from one seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/base/time.h"
#include "tests/sim/kernel/path.h"

namespace holdfast::sim {

// The most clients that a drawn world has, clones left out.
inline constexpr std::uint32_t kMostClients = 3;

// With fewer, agents run out of them in some worlds.
inline constexpr std::size_t kPlentyOfDescriptors = 1000;

// What happens to a world, one line each in a printed plan.
enum class FaultKind : std::uint8_t {
  cut,                // both ends see a reset; bytes in flight lost or partly still read
  cut_after_bytes,    // the same once so many more bytes went through one direction
  cut_client_sees,    // the client drops; the server still believes in the old carrier
  cut_server_sees,    // the other way round
  end_of_file,        // an orderly EOF both ways
  silence,            // nothing moves for a while, then what was held is released
  silence_to_server,  // one way only
  silence_to_client,
  silence_for_good,  // until liveness finds it
  outage,            // carriers cut and dials refused for a while
  blackout,          // carriers silent for good and dials hanging for a while
  slow_hello,        // the next carriers hold back what the client says
  refuse_dials,
  hang_dials,
  replay_hello,      // somebody plays an old HELLO again
  late_turn_client,  // SIGSTOP: time passes, nothing of it runs
  late_turn_server,
  kill_stream_client,  // an operator resets one connection
  kill_stream_server,
  reconnect,  // the operator's command
  address_change,
  restart_client,  // kill -9 and a new process
  restart_server,
  goodbye_client,  // SIGTERM, then a new process
  goodbye_lost,    // the same while the path eats it
  goodbye_server,
  drain_server,  // and a restart some time later
  clone_client,  // the same configuration runs elsewhere for a while
  // Of hardships only (hardships.h), each for a while:
  storm,      // the path loses most of what is sent
  swallow,    // it does not pass what is large
  middlebox,  // carriers cut, and somebody answers dials and leads them nowhere
  names_fail,
  names_hang,
  names_unknown,
  descriptors_client,  // it may have hardly more than it has
  descriptors_server,
  limit_server,  // a reload allows few connections, another one as many as before
  // For good, whatever heals (hardships.h):
  small_packets,  // of `bytes` of payload at most; the path does not pass what is larger
};
inline constexpr int kFaultKinds = static_cast<int>(FaultKind::small_packets) + 1;
// What every world's faults are drawn from.
inline constexpr int kUsualFaultKinds = static_cast<int>(FaultKind::clone_client) + 1;
const char* to_string(FaultKind kind);

struct Fault {
  Time at{};
  FaultKind kind{};
  std::uint32_t client = 0;
  Duration length{};
  std::uint64_t bytes = 0;
};

// How one end of an application connection behaves.
struct SideScript {
  enum class End : std::uint8_t {
    close,         // half-closes once everything is written
    answer_close,  // half-closes once it has also read the peer's EOF
    reset,         // resets after `reset_at` bytes
    hold,          // stays open until the healing
  };
  std::uint64_t total = 0;
  std::uint32_t chunk = 1;  // bytes that one write takes
  Duration gap{};           // between writes
  End end = End::close;
  std::uint64_t reset_at = 0;
  std::uint32_t read_chunk = 4096;
  Duration read_gap{};  // between reads; zero reads at once
  Duration stall{};     // reads nothing for so long after the start
  // What the kernels take for an application that is slow: its own, and the agent's.
  std::uint32_t receive_buffer = 4096;
  std::uint32_t send_buffer = 0;
};

struct ConversationScript {
  Time start{};
  std::uint32_t client = 0;
  std::uint16_t service = 0;
  SideScript sides[2];  // 0: at the client agent, 1: the backend
  Duration connect_delay{};
  bool backend_refuses = false;
};

enum class Hardship : std::uint8_t;  // hardships.h

struct Options {
  std::uint64_t seed = 0;
  std::string size;
  std::uint32_t clients = 1;
  std::uint32_t services = 1;
  Duration service_grace[2] = {};
  Duration grace = seconds(30);
  Duration heartbeat = seconds(1);
  Duration dead_after = seconds(15);
  Duration open_timeout = seconds(30);
  Duration handshake_timeout = seconds(10);
  std::uint64_t max_window = 1024 * 1024;
  std::uint64_t memory = 16 * 1024 * 1024;
  std::uint32_t max_streams = 1000;
  std::uint32_t server_streams = 0;  // what the server allows a client; 0: the same
  bool names = false;                // the server and the services are called by names
  std::size_t descriptors = 4096;    // RLIMIT_NOFILE of each agent
  Path::Shape path;                  // of each client
  Time heal_at{};
  // How many lanes a client's link has at once, and may have.
  unsigned first_lanes = 1;
  unsigned lanes = 1;
  bool tls = false;  // carriers are encrypted; of drawn worlds one in ten is
  bool trace = false;
  std::vector<ConversationScript> conversations;
  std::vector<Fault> faults;
  std::vector<Hardship> hardships;

  // Nothing random: a healthy world with no conversation and no fault, for named scenarios.
  static Options plain();
  static Options draw(std::uint64_t seed);
  // The same world with encrypted carriers.
  void encrypt() { tls = true; }
  std::string describe() const;

 private:
  std::string describe_hardships() const;
};

}  // namespace holdfast::sim
