// What the seed lets happen to a world.
#include <algorithm>

#include "tests/sim/world.h"

namespace holdfast::sim {

void World::cut_all(std::uint32_t client, Pipe::End how, bool client_sees, bool server_sees) {
  for (CarrierId id : carriers_of(client)) cut(*carrier(id), how, client_sees, server_sees);
}

void World::hold_all(std::uint32_t client, bool to_server, bool to_client, Time until) {
  for (CarrierId id : carriers_of(client)) {
    Carrier& held = *carrier(id);
    if (to_server) held.to_server.hold(until);
    if (to_client) held.to_client.hold(until);
    watch(held, 0);
    watch(held, 1);
  }
}

void World::stall_client(std::uint32_t client, Duration length) {
  clients_[client]->stall(now_ + length);
  schedule(now_ + length, EventKind::client_wake, client, 0);
}

void World::stall_server(Duration length) {
  server_->stall(now_ + length);
  schedule(now_ + length, EventKind::server_wake, 0, 0);
}

void World::excuse(std::uint32_t client, bool Excuses::*why) {
  for (auto& conversation : conversations_) {
    // An OPEN that is on its way may still begin it at the server, though its client's end is over.
    const Side& server = conversation->sides[1];
    bool came = server.ended != 0 || server.process_gone;
    bool over = conversation->sides[0].driver == nullptr && server.driver == nullptr && came;
    if (conversation->client == client && conversation->opened && !over) {
      conversation->excuses.*why = true;
    }
  }
  standing_[client].*why = true;
}

void World::excuse_all(bool Excuses::*why) {
  for (std::uint32_t i = 0; i < clients_.size(); ++i) excuse(i, why);
}

void World::restart_client(std::uint32_t client) {
  excuse(client, &Excuses::client_restarted);
  clients_[client]->kill();
}

void World::restart_server() {
  excuse_all(&Excuses::server_restarted);
  server_->kill();
  server_->start();
}

// The same configuration, started a second time elsewhere.
void World::clone_client(std::uint32_t client, Duration length) {
  auto index = static_cast<std::uint32_t>(clients_.size());
  excuse(client, &Excuses::displaced);
  paths_.push_back({});
  standing_.push_back({});
  clients_.push_back(std::make_unique<ClientHost>(*this, index, clients_[client]->name()));
  clients_.back()->start();
  schedule(now_ + length, EventKind::stop_clone, index, 0);
}

// Somebody plays back what a client said on an older carrier.
void World::replay_hello(std::uint32_t client) {
  std::vector<const OldHello*> candidates;
  for (const OldHello& old : hellos_) {
    if (old.client == client) candidates.push_back(&old);
  }
  if (candidates.empty() || !server_->running()) return;
  const OldHello& old = *candidates[random_.below(candidates.size())];
  CarrierId id{next_number()};
  Pipe::Shape shape{options_.latency, 0, 1024 * 1024};
  Carrier& ghost = carriers_.try_emplace(id, id, client, shape).first->second;
  ghost.ghost = true;
  encrypt(ghost);
  ghost.to_server.write(now_, old.bytes);
  watch(ghost, 1);
  schedule(now_ + milliseconds(static_cast<std::int64_t>(random_.below(3000))),
           EventKind::cut_carrier, 0, id.value);
}

void World::apply(const Fault& fault) {
  totals_.faults[static_cast<int>(fault.kind)] += 1;
  std::uint32_t client = fault.client;
  Time until = now_ + fault.length;
  Path& path = paths_[client];
  switch (fault.kind) {
    case FaultKind::cut:
      return cut_all(client, Pipe::End::reset, true, true);
    case FaultKind::cut_after_bytes:
      for (CarrierId id : carriers_of(client)) {
        Carrier& one = *carrier(id);
        bool to_server = random_.one_in(2);
        const Pipe& pipe = to_server ? one.to_server : one.to_client;
        cut_at(one, to_server, pipe.written() + fault.bytes);
      }
      return;
    case FaultKind::cut_client_sees:
      return cut_all(client, Pipe::End::reset, true, false);
    case FaultKind::cut_server_sees:
      return cut_all(client, Pipe::End::reset, false, true);
    case FaultKind::end_of_file:
      return cut_all(client, Pipe::End::eof, true, true);
    case FaultKind::silence:
      return hold_all(client, true, true, until);
    case FaultKind::silence_to_server:
      return hold_all(client, true, false, until);
    case FaultKind::silence_to_client:
      return hold_all(client, false, true, until);
    case FaultKind::silence_for_good:
      return hold_all(client, true, true, kNever);
    case FaultKind::outage:
      path.refuse_until = std::max(path.refuse_until, until);
      return cut_all(client, Pipe::End::reset, true, true);
    case FaultKind::blackout:
      path.hang_until = std::max(path.hang_until, until);
      return hold_all(client, true, true, random_.one_in(2) ? kNever : until);
    case FaultKind::slow_hello:
      path.slow_until = until + seconds(2);
      path.slow = fault.length;
      return cut_all(client, Pipe::End::reset, true, random_.one_in(2));
    case FaultKind::refuse_dials:
      path.refuse_until = std::max(path.refuse_until, until);
      return;
    case FaultKind::hang_dials:
      path.hang_until = std::max(path.hang_until, until);
      return;
    case FaultKind::replay_hello:
      return replay_hello(client);
    case FaultKind::late_turn_client:
      return stall_client(client, fault.length);
    case FaultKind::late_turn_server:
      return stall_server(fault.length);
    case FaultKind::reconnect:
      return clients_[client]->reconnect();
    case FaultKind::address_change:
      return clients_[client]->doubt();
    default:
      return apply_process_fault(fault);
  }
}

void World::apply_process_fault(const Fault& fault) {
  std::uint32_t client = fault.client;
  Time until = now_ + fault.length;
  ClientHost& host = *clients_[client];
  switch (fault.kind) {
    case FaultKind::kill_stream_client:
    case FaultKind::kill_stream_server:
      if (conversations_.empty()) return;
      for (int i = 0; i < 4; ++i) {
        Conversation& one = *conversations_[random_.below(conversations_.size())];
        int side = fault.kind == FaultKind::kill_stream_client ? 0 : 1;
        if (one.sides[side].driver == nullptr) continue;
        return side == 0 ? clients_[one.client]->kill_stream(one) : server_->kill_stream(one);
      }
      return;
    case FaultKind::restart_client:
      restart_client(client);
      return schedule(until, EventKind::restart_client, client, 0);
    case FaultKind::restart_server:
      excuse_all(&Excuses::server_restarted);
      server_->kill();
      return schedule(until, EventKind::restart_server, 0, 0);
    case FaultKind::goodbye_lost:
      hold_all(client, true, true, kNever);
      [[fallthrough]];
    case FaultKind::goodbye_client:
      if (host.stalled()) return;
      excuse(client, &Excuses::goodbye);
      host.goodbye();
      return schedule(until + seconds(2), EventKind::restart_client, client, 0);
    case FaultKind::goodbye_server:
      if (server_->stalled()) return;
      excuse_all(&Excuses::goodbye);
      excuse_all(&Excuses::server_restarted);
      server_->goodbye();
      return schedule(until, EventKind::restart_server, 0, 1);
    case FaultKind::drain_server:
      if (server_->stalled()) return;
      excuse_all(&Excuses::drain);
      for (auto& conversation : conversations_) conversation->excuses.drain = true;
      server_->drain();
      return schedule(until, EventKind::restart_server, 0, 1);
    case FaultKind::clone_client:
      return clone_client(client, fault.length + milliseconds(500));
    default:
      throw Failure("a fault that nobody does");
  }
}

}  // namespace holdfast::sim
