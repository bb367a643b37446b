// The applications and services of a world: what they write, read and close, and when.
#include <algorithm>
#include <cerrno>

#include "tests/sim/application_end.h"
#include "tests/sim/kernel/socket.h"
#include "tests/sim/world.h"

namespace holdfast::sim {
namespace {

// What an application's kernel holds for an agent that does not read.
constexpr std::uint64_t kSendBuffer = 32768;
// Each conversation's application has an address of its own, from 10.64.0.0 on.
constexpr std::uint32_t kApplications = 0x0a400000;
constexpr std::uint16_t kApplicationPort = 40000;
// From a service's accept to its first write, in us.
constexpr std::uint64_t kServiceThinks = 1500;

}  // namespace

Conversation* World::conversation_at(std::uint32_t source) const {
  std::size_t index = source - kApplications;
  return source < kApplications || index >= conversations_.size() ? nullptr
                                                                  : conversations_[index].get();
}

Conversation* World::conversation_of(const Endpoint& source) const {
  std::uint32_t host = 0;
  for (int i = 0; i < 4; ++i) host = host << 8 | source.address[static_cast<std::size_t>(i)];
  return source.port == kApplicationPort ? conversation_at(host) : nullptr;
}

std::optional<std::string> World::connection_of(const Conversation& conversation, const Link& link,
                                                Time now) {
  std::optional<std::string> name;
  Address address{kApplications + conversation.index, kApplicationPort};
  link.for_each_stream(now, [&](StreamHandle stream, const StreamSummary& summary) {
    auto known = SocketAddress::from(summary.source);
    if (known && Address::of(known->get()) == address) {
      name = connection_name(link.id(), stream.id);
    }
  });
  return name;
}

void World::start_conversation(Conversation& conversation) {
  ClientHost& host = *clients_[conversation.client];
  Socket* listener = kernel_.listener(host.listener(conversation.script.service));
  if (listener == nullptr) return;  // connection refused: nothing to carry
  for (Side& side : conversation.sides) side.script.stall += now().time_since_epoch();
  totals_.streams += 1;
  conversation.started = true;
  conversation.started_at = now();
  conversation.excuses.add(standing_[conversation.client]);
  listener->queue(std::make_unique<ApplicationEnd>(*this, conversation, 0),
                  {kApplications + conversation.index, kApplicationPort});
  look_at_application(conversation, 0);
}

void World::look_at_application(Conversation& conversation, int side) {
  Side& one = conversation.sides[side];
  one.tick += 1;
  schedule(now(), What::application, conversation.index,
           one.tick << 1 | static_cast<std::uint64_t>(side));
}

void World::application(Conversation& conversation, int side) {
  Side& one = conversation.sides[side];
  Time next = kNever;
  if (one.end != nullptr && !one.said_eof && !one.broken()) {
    write_as_scripted(conversation, side, next);
  }
  read_as_scripted(conversation, side, next);
  if (next == kNever) return;
  one.tick += 1;
  schedule(next, What::application, conversation.index,
           one.tick << 1 | static_cast<std::uint64_t>(side));
}

void World::write_as_scripted(Conversation& conversation, int side, Time& next) {
  Side& one = conversation.sides[side];
  if (now() < one.begins) {
    next = one.begins;
    return;
  }
  const SideScript& script = one.script;
  std::uint64_t end = script.end == SideScript::End::reset ? script.reset_at : script.total;
  std::uint64_t before = one.written;
  Time allowed = one.next_write;
  while (one.written < end && allowed <= now() && one.written - one.taken < kSendBuffer) {
    one.written += std::min<std::uint64_t>(script.chunk, end - one.written);
    allowed = script.gap == Duration{} ? allowed : now() + script.gap;
  }
  one.next_write = allowed;
  if (one.written != before) {
    one.end->wrote();
    watch_.waits(conversation, side);
  }
  if (one.written < end) {
    if (one.written - one.taken < kSendBuffer) next = std::min(next, std::max(allowed, now()));
    return;
  }
  end_as_scripted(conversation, one);
}

void World::end_as_scripted(Conversation& conversation, Side& side) {
  switch (side.script.end) {
    case SideScript::End::answer_close:
      if (!side.got_fin || side.consumed != side.accepted) return;
      [[fallthrough]];
    case SideScript::End::close:
      side.said_eof = true;
      watch_.waits(conversation, static_cast<int>(&side - conversation.sides));
      return side.end->ended();
    case SideScript::End::reset:
      side.said_reset = true;
      conversation.excuses.application_reset = true;
      return side.end->has_reset();
    case SideScript::End::hold:
      return;
  }
}

void World::read_as_scripted(Conversation& conversation, int side, Time& next) {
  Side& one = conversation.sides[side];
  if (one.consumed == one.accepted || one.said_reset) return;
  Time allowed = std::max(one.next_read, Time(one.script.stall));
  if (now() < allowed) {
    next = std::min(next, allowed);
    return;
  }
  one.consumed += std::min<std::uint64_t>(one.script.read_chunk, one.accepted - one.consumed);
  one.consumed_at = now();
  one.next_read = now() + one.script.read_gap;
  if (one.end != nullptr) one.end->consumed();
  if (one.consumed < one.accepted) {
    next = std::min(next, std::max(one.next_read, now()));
  } else {
    look_at_application(conversation, side);  // an answer may follow
  }
}

// --- Services ----------------------------------------------------------------------------------

void World::connect_backend(Conversation& conversation, Socket& socket) {
  conversation.backend_connects += 1;
  if (conversation.backend_connects != 1) {
    kernel_.blame(conversation.name() + ": opened twice at the backend");
  }
  connecting_[conversation.index] = &socket;
  // On the same host it is over at once.
  if (conversation.script.connect_delay == Duration{}) return backend(conversation);
  schedule(now() + conversation.script.connect_delay, What::backend, conversation.index, 0);
}

void World::socket_gone(Socket& socket) {
  std::erase_if(connecting_, [&](const auto& each) { return each.second == &socket; });
}

void World::backend(Conversation& conversation) {
  auto found = connecting_.find(conversation.index);
  if (found == connecting_.end()) return;  // given up meanwhile
  Socket& socket = *found->second;
  connecting_.erase(found);
  if (conversation.script.backend_refuses) {
    conversation.excuses.backend_refused = true;
    return socket.connect_failed(ECONNREFUSED);
  }
  socket.connected(std::make_unique<ApplicationEnd>(*this, conversation, 1));
  conversation.sides[1].stands_since = now();
  conversation.sides[1].begins =
      now() + Duration(static_cast<std::int64_t>(kernel_.random().below(kServiceThinks)));
  look_at_application(conversation, 1);
}

}  // namespace holdfast::sim
