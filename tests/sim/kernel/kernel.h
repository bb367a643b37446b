// Kernel: what the simulated processes have in place of Linux: one clock, descriptors, sockets,
// epoll, timers. It is driven by one queue of events, whose order a seed decides, so that a run
// repeats to the last byte. Where connections lead is the Internet's to say.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/random.h"
#include "tests/sim/kernel/address.h"
#include "tests/sim/kernel/events.h"

namespace holdfast::sim {

class Connection;
class Names;
class Path;
class Process;
class Socket;

// Where a connect() goes. Answers by Socket::connected() or connect_failed(), at once or later.
class Internet {
 public:
  virtual void connect(Socket& socket, const Address& to) = 0;
  // A connection over a path stands: its server has not seen it yet.
  virtual void established(Connection& connection) = 0;
  // It breaks at a planned place.
  virtual void struck(Connection& connection) = 0;
  // Something large vanishes on it, and will not arrive while the path is as it is.
  virtual void swallowed(Connection& connection) = 0;
  // It is over at both ends.
  virtual void gone(Connection& connection) = 0;
  // Closed; it may have asked for a connection.
  virtual void socket_gone(Socket& socket) = 0;

 protected:
  ~Internet() = default;
};

class Kernel final : private EventSink {
 public:
  Kernel(std::uint64_t seed, Internet& network);
  ~Kernel();
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  Time now() const { return now_; }
  Random& random() { return random_; }
  EventQueue& events() { return events_; }
  Internet& network() { return network_; }
  Names& names() { return *names_; }

  // The next event, if it is not later than `until`; false: there is none.
  bool step(Time until);
  // The clock after the last event; never back.
  void advance(Time to) { now_ = std::max(now_, to); }

  // What a system call found wrong: thrown as a Failure once no agent's code is on the stack.
  void blame(const std::string& what);
  void check() const;

  // --- Sockets ---
  bool listen(const Address& address, Socket& socket);
  Socket* listener(const Address& address);
  void socket_gone(Socket& socket);
  // For a socket that connects without one.
  std::uint16_t next_port() {
    return static_cast<std::uint16_t>(kFirstPort + last_port_++ % (65536 - kFirstPort));
  }

  // --- Connections over paths ---
  Connection& dial(Socket& socket, Path& path, const Address& to);
  Connection* connection(std::uint64_t number);
  const std::map<std::uint64_t, std::unique_ptr<Connection>>& connections() const {
    return connections_;
  }
  Connection& add_connection(std::unique_ptr<Connection> connection);
  std::uint64_t next_connection() { return ++last_connection_; }
  void forget(std::uint64_t connection);

  // --- Its own parts' ---
  enum class Kind : std::uint32_t { turn, timer, handshake, arrival, ack, reset, thread };
  void schedule(Time at, Kind kind, std::uint32_t index, std::uint64_t detail);
  void schedule_turn(Time at, std::uint32_t process, std::uint64_t turn) {
    schedule(at, Kind::turn, process, turn);
  }
  std::uint32_t enter(Process& process);
  Process* process(std::uint32_t number) { return processes_[number]; }  // null: gone
  void leave(Process& process);

 private:
  static constexpr std::uint32_t kFirstPort = 32768;  // net.ipv4.ip_local_port_range

  void on_event(const Event& event) override;

  Time now_{};
  Random random_;
  Internet& network_;
  EventQueue events_;
  std::vector<Process*> processes_;  // by number; null: gone
  std::map<Address, Socket*> listeners_;
  std::map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::uint64_t last_connection_ = 0;
  std::uint32_t last_port_ = 0;
  std::unique_ptr<Names> names_;
  std::string blame_;
};

}  // namespace holdfast::sim
