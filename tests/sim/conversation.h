// Conversation: one application connection from end to end, and what the oracle knows of it.
//
// The bytes of a direction are a function of their position, so none is stored and a lost, doubled
// or reordered byte shows where it is delivered. Each side is an application with its kernel
// socket; the agent works on the socket, the script on the application.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <string>

#include "common/core/effects.h"
#include "tests/sim/failure.h"
#include "tests/sim/options.h"

namespace holdfast::sim {

class LinkDriver;

// The byte at `offset` of direction `key`.
std::uint8_t pattern_byte(std::uint64_t key, std::uint64_t offset);
void fill_pattern(std::uint64_t key, std::uint64_t offset, std::uint8_t* to, std::size_t size);
bool matches_pattern(std::uint64_t key, std::uint64_t offset, Bytes bytes);

// What happened to the two processes and their link while a stream lived: what may explain that
// it did not end well. A stream that nothing explains must have carried everything.
struct Excuses {
  bool application_reset = false;
  bool agent_killed_stream = false;
  bool backend_refused = false;
  bool refused_open = false;  // over the limits, draining, or waited for longer than open_timeout
  bool client_restarted = false;
  bool server_restarted = false;
  bool goodbye = false;
  bool drain = false;
  bool displaced = false;  // by a clone or an old process's HELLO
  bool outage_over_grace = false;
  void add(const Excuses& other) {
    client_restarted = client_restarted || other.client_restarted;
    server_restarted = server_restarted || other.server_restarted;
    goodbye = goodbye || other.goodbye;
    drain = drain || other.drain;
    displaced = displaced || other.displaced;
    outage_over_grace = outage_over_grace || other.outage_over_grace;
  }
  bool only_application_reset() const {
    Excuses others = *this;
    others.application_reset = false;
    return application_reset && !others.any();
  }
  bool any() const {
    return application_reset || agent_killed_stream || backend_refused || refused_open ||
           client_restarted || server_restarted || goodbye || drain || displaced ||
           outage_over_grace;
  }
};

struct Side {
  enum class Socket : std::uint8_t { none, connecting, attached, closed };

  SideScript script;
  std::uint64_t key = 0;  // of the bytes that this side's application sends

  // Application to agent.
  std::uint64_t written = 0;  // by the application
  std::uint64_t taken = 0;    // committed to the link
  bool said_eof = false;
  bool said_reset = false;
  bool finish_told = false;
  bool abort_told = false;
  bool paused = false;  // the link had no room

  // Agent to application.
  std::uint64_t accepted = 0;  // by the kernel
  std::uint64_t consumed = 0;  // by the application
  bool got_fin = false;
  bool got_abort = false;   // in order, after the bytes
  bool abort_done = false;  // and the driver has said so
  bool got_reset = false;   // at once
  Cause reset_cause = Cause::none;
  Time abort_since{};

  // The agent's.
  Socket socket = Socket::none;
  LinkDriver* driver = nullptr;
  StreamHandle handle;
  int ended = 0;
  Cause ended_cause = Cause::none;
  Time ended_at{};
  Time abort_told_at{};
  bool process_gone = false;  // it died with the stream: there will be no Ended
  std::uint64_t tick = 0;     // generation of the scheduled application event
  Time next_write{};
  Time next_read{};

  std::uint64_t room() const {
    std::uint64_t waiting = accepted - consumed;
    return waiting >= script.receive_buffer ? 0 : script.receive_buffer - waiting;
  }
  bool broken() const { return got_abort || got_reset || said_reset; }
};

struct Conversation {
  std::uint32_t index = 0;
  std::uint32_t client = 0;
  ConversationScript script;
  Side sides[2];  // 0: at the client agent, 1: at the server agent
  Time opened_at{};
  bool opened = false;
  int backend_connects = 0;
  Excuses excuses;

  // The oracle's part of each step; all throw Failure.
  void check_delivery(int side, Bytes bytes) const;
  void check_fin(int side) const;
  void check_abort(int side) const;
  void check_end() const;
  void check_reset_in_order(int side) const;
  std::string name() const { return "conversation " + std::to_string(index); }
};

}  // namespace holdfast::sim
