// Conversation: one application connection from end to end, and what the oracle knows of it.
//
// The bytes of a direction are a function of their position, so none is stored and a lost, doubled
// or reordered byte shows where it is delivered. Each side is an application: the agent has its
// socket (application_end.h), the script says what it does.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "common/core/effects.h"
#include "tests/sim/kernel/failure.h"
#include "tests/sim/options.h"

namespace holdfast::sim {

class ApplicationEnd;

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
  SideScript script;
  std::uint64_t key = 0;          // of the bytes that this side's application sends
  ApplicationEnd* end = nullptr;  // the agent's end of its connection, while that is open

  // Application to agent.
  std::uint64_t written = 0;  // by the application
  std::uint64_t taken = 0;    // read by the agent
  bool said_eof = false;
  bool said_reset = false;
  bool finish_told = false;  // the agent has read the end,
  bool abort_told = false;   // or the error
  Time abort_told_at{};

  // Agent to application.
  std::uint64_t accepted = 0;  // by the kernels
  std::uint64_t consumed = 0;  // by the application
  Time consumed_at{};
  bool orphan = false;  // it ended when its link was over at the client
  bool got_fin = false;
  bool got_reset = false;
  std::uint64_t lost = 0;  // of what the agent's kernel had accepted, by that reset
  Time reset_at{};
  Duration idle_at_reset{};  // for so long the application had read nothing

  // As the agent says.
  int ended = 0;
  Cause ended_cause = Cause::none;
  Time ended_at{};
  bool process_gone = false;  // it died with the connection: there may be no end

  // The script's.
  std::uint64_t tick = 0;  // generation of the scheduled application event
  Time begins{};           // says nothing before
  Time next_write{};
  Time next_read{};

  // The watch's: since when, and from how many accepted bytes on, something waits to leave here.
  bool watched = false;
  Time stands_since{};  // its end of the connection
  Time watched_since{};
  std::uint64_t watched_from = 0;

  // What the kernels take for an application that does not read.
  std::uint64_t capacity() const { return script.receive_buffer + script.send_buffer; }
  std::uint64_t room() const { return capacity() - std::min(capacity(), accepted - consumed); }
  // Still in the agent's kernel.
  std::uint64_t unsent() const {
    std::uint64_t waiting = accepted - consumed;
    return waiting - std::min<std::uint64_t>(waiting, script.receive_buffer);
  }
  bool broken() const { return got_reset || said_reset; }
};

struct Conversation {
  std::uint32_t index = 0;
  std::uint32_t client = 0;
  ConversationScript script;
  Side sides[2];         // 0: at the client agent, 1: at the server agent
  bool started = false;  // the application has connected
  Time started_at{};
  Time opened_at{};
  bool opened = false;  // the client agent has taken it
  int backend_connects = 0;
  Excuses excuses;

  bool is_open() const { return sides[0].end != nullptr || sides[1].end != nullptr; }

  // The oracle's part of each step; all throw Failure.
  void check_delivery(int side, Bytes bytes) const;
  void check_fin(int side) const;
  void check_reset(int side) const;
  void check_end() const;
  void check_reset_in_order(int side) const;
  std::string name() const { return "conversation " + std::to_string(index); }
};

}  // namespace holdfast::sim
