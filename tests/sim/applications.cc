// The applications of a world: what they write, read and close, and when.
#include <algorithm>

#include "tests/sim/world.h"

namespace holdfast::sim {
namespace {

// What an application's kernel holds for an agent that does not read.
constexpr std::uint64_t kSendBuffer = 32768;

}  // namespace

Endpoint World::endpoint_of(const Conversation& conversation) {
  Endpoint endpoint;
  endpoint.family = EndpointFamily::ipv4;
  endpoint.address = {127, 0, 0, static_cast<std::uint8_t>(conversation.index >> 16)};
  endpoint.port = static_cast<std::uint16_t>(conversation.index);
  return endpoint;
}

Conversation& World::conversation_of(const Endpoint& source) {
  std::size_t index = source.port + (std::size_t{source.address[3]} << 16);
  require(source.family == EndpointFamily::ipv4 && index < conversations_.size(),
          "an OPEN whose source nobody has");
  return *conversations_[index];
}

void World::start_conversation(const Event& event) {
  Conversation& conversation = *conversations_[event.index];
  ClientHost& host = *clients_[conversation.client];
  if (!host.running()) return;  // connection refused: nothing to carry
  if (host.stalled()) {
    Time later = std::min(host.stalled_until(), options_.heal_at + milliseconds(1));
    return schedule(later, EventKind::start_conversation, event.index, 0);
  }
  for (Side& side : conversation.sides) side.script.stall += now_.time_since_epoch();
  totals_.streams += 1;
  conversation.excuses.add(standing_[conversation.client]);
  host.open(conversation);
  look_at_application(conversation, 0);
}

void World::look_at_socket(Conversation& conversation, int side) {
  Duration soon = Duration(static_cast<std::int64_t>(random_.below(300)));
  look_at_socket_at(conversation, side, now_ + soon);
}

void World::look_at_socket_at(Conversation& conversation, int side, Time at) {
  schedule(at, EventKind::socket, conversation.index, static_cast<std::uint64_t>(side));
}

void World::look_at_application(Conversation& conversation, int side) {
  Side& one = conversation.sides[side];
  one.tick += 1;
  schedule(now_, EventKind::application, conversation.index,
           one.tick << 1 | static_cast<std::uint64_t>(side));
}

void World::application(Conversation& conversation, int side) {
  Side& one = conversation.sides[side];
  if (one.socket == Side::Socket::none || one.socket == Side::Socket::connecting) return;
  Time next = kNever;
  bool wrote = write_as_scripted(conversation, side, next);
  std::uint64_t before = one.consumed;
  read_as_scripted(conversation, side, next);
  bool read = one.consumed != before;
  if (next != kNever) {
    one.tick += 1;
    schedule(next, EventKind::application, conversation.index,
             one.tick << 1 | static_cast<std::uint64_t>(side));
  }
  if ((wrote || read) && one.socket == Side::Socket::attached)
    look_at_socket_at(conversation, side, now_);
}

// Says whether there is something new for the agent.
bool World::write_as_scripted(Conversation& conversation, int side, Time& next) {
  Side& one = conversation.sides[side];
  if (one.said_eof || one.broken() || one.socket != Side::Socket::attached) return false;
  const SideScript& script = one.script;
  std::uint64_t end = script.end == SideScript::End::reset ? script.reset_at : script.total;
  bool changed = false;
  Time allowed = one.next_write;
  while (one.written < end && allowed <= now_ && one.written - one.taken < kSendBuffer) {
    one.written += std::min<std::uint64_t>(script.chunk, end - one.written);
    allowed = script.gap == Duration{} ? allowed : now_ + script.gap;
    changed = true;
  }
  one.next_write = allowed;
  if (one.written < end) {
    if (one.written - one.taken < kSendBuffer) next = std::min(next, std::max(allowed, now_));
    return changed;
  }
  switch (script.end) {
    case SideScript::End::close:
      one.said_eof = true;
      return true;
    case SideScript::End::answer_close:
      if (one.got_fin && one.consumed == one.accepted) one.said_eof = true;
      return changed || one.said_eof;
    case SideScript::End::reset:
      one.said_reset = true;
      conversation.excuses.application_reset = true;
      return true;
    case SideScript::End::hold:
      return changed;
  }
  return changed;
}

void World::read_as_scripted(Conversation& conversation, int side, Time& next) {
  Side& one = conversation.sides[side];
  if (one.consumed == one.accepted) return;
  Time allowed = std::max(one.next_read, Time(one.script.stall));
  if (now_ < allowed) {
    next = std::min(next, allowed);
    return;
  }
  one.consumed += std::min<std::uint64_t>(one.script.read_chunk, one.accepted - one.consumed);
  one.next_read = now_ + one.script.read_gap;
  if (one.consumed < one.accepted) next = std::min(next, std::max(one.next_read, now_));
}

void World::connect_backend(Conversation& conversation) {
  schedule(now_ + conversation.script.connect_delay, EventKind::backend, conversation.index, 0);
}

void World::backend(const Event& event) {
  if (server_->stalled()) {
    return schedule(server_->stalled_until(), EventKind::backend, event.index, 0);
  }
  Conversation& conversation = *conversations_[event.index];
  server_->on_backend(conversation, !conversation.script.backend_refuses);
  look_at_application(conversation, 1);
}

}  // namespace holdfast::sim
