// What the seed lets happen to a world.
#include <algorithm>

#include "tests/sim/world.h"

namespace holdfast::sim {

std::vector<Connection*> World::carriers_of(std::uint32_t client) {
  std::vector<Connection*> found;
  for (const auto& [number, whose] : carriers_) {
    if (whose != client) continue;
    Connection* connection = kernel_.connection(number);
    if (connection != nullptr && connection->standing()) found.push_back(connection);
  }
  return found;
}

void World::cut_all(std::uint32_t client, Connection::Cut how, bool client_sees, bool server_sees) {
  for (Connection* each : carriers_of(client)) each->cut(how, client_sees, server_sees);
}

void World::cut_after_bytes(std::uint32_t client, std::uint64_t bytes) {
  for (Connection* each : carriers_of(client)) {
    Direction direction = kernel_.random().one_in(2) ? Direction::to_server : Direction::to_client;
    each->cut_at(direction, each->flow(direction).written() + bytes);
  }
}

void World::hold_all(std::uint32_t client, bool to_server, bool to_client, Time until) {
  for (Connection* each : carriers_of(client)) {
    if (to_server) each->hold(Direction::to_server, until);
    if (to_client) each->hold(Direction::to_client, until);
  }
}

void World::excuse(std::uint32_t client, bool Excuses::*why) {
  for (auto& conversation : conversations_) {
    // An OPEN that is on its way may still begin it at the server, though its client's end is over;
    // and an end that is on its way has not ended it at the client's agent.
    auto is_over = [](const Side& side) { return side.ended != 0 || side.process_gone; };
    bool told = !conversation->opened || is_over(conversation->sides[0]);
    bool over = !conversation->is_open() && told && is_over(conversation->sides[1]);
    if (conversation->client == client && conversation->started && !over) {
      conversation->excuses.*why = true;
    }
  }
  // Those that ended a moment ago, and whose reason is told now.
  for (const Ended& each : ended_) {
    if (each.conversation->client == client) each.conversation->excuses.*why = true;
  }
  standing_[client].*why = true;
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
  paths_.push_back(std::make_unique<Path>(options_.path, kernel_.random()));
  standing_.push_back({});
  clients_.push_back(std::make_unique<ClientHost>(*this, index, clients_[client]->name()));
  clients_.back()->start();
  schedule(now() + length, What::stop_clone, index, 0);
}

// Somebody plays back what a client said on an older carrier.
void World::replay_hello(std::uint32_t client, Duration life) {
  std::vector<const OldHello*> candidates;
  for (const OldHello& old : hellos_) {
    if (old.client == client) candidates.push_back(&old);
  }
  if (candidates.empty()) return;
  const OldHello& old = *candidates[kernel_.random().below(candidates.size())];
  Connection& ghost = kernel_.add_connection(
      std::make_unique<Connection>(kernel_, kernel_.next_connection(), path(client),
                                   Address{ServerHost::kAddress, ServerHost::kLinkPort}));
  if (!ghost.haunt(old.bytes)) return kernel_.forget(ghost.number());
  schedule(now() + life, What::end_ghost, 0, ghost.number());
}

void World::kill_some_stream(int side) {
  if (conversations_.empty()) return;
  for (int i = 0; i < 4; ++i) {
    Conversation& one = *conversations_[kernel_.random().below(conversations_.size())];
    if (one.sides[side].end == nullptr) continue;
    return side == 0 ? clients_[one.client]->kill_stream(one) : server_->kill_stream(one);
  }
}

// For how long the path, or a process, is kept from what it should do; what is held for good is
// found out as soon as what is held now.
void World::note_harm(const Fault& fault) {
  Time until = now() + fault.length;
  switch (fault.kind) {
    case FaultKind::cut_after_bytes:  // struck() tells when
    case FaultKind::address_change:
    case FaultKind::kill_stream_client:
    case FaultKind::kill_stream_server:
      return;
    case FaultKind::cut_client_sees:
    case FaultKind::cut_server_sees:
      return watch_.harm(fault.client, now() + seconds(8));
    case FaultKind::slow_hello:
      return watch_.harm(fault.client, until + seconds(2) + fault.length);
    case FaultKind::late_turn_server:
    case FaultKind::restart_server:
    case FaultKind::goodbye_server:
    case FaultKind::drain_server:
      return watch_.harm_all(until);
    case FaultKind::goodbye_client:
    case FaultKind::goodbye_lost:
    case FaultKind::clone_client:
      return watch_.harm(fault.client, until + seconds(2));
    case FaultKind::refuse_dials:
    case FaultKind::hang_dials:
    case FaultKind::descriptors_client:
      return watch_.hinder(fault.client, until);
    case FaultKind::descriptors_server:
    case FaultKind::names_fail:
    case FaultKind::names_hang:
    case FaultKind::names_unknown:
      return watch_.hinder_all(until);
    case FaultKind::limit_server:
    case FaultKind::small_packets:  // swallowed() tells when it matters
      return;
    default:
      return watch_.harm(fault.client, until);
  }
}

void World::apply(const Fault& fault) {
  note_harm(fault);
  totals_.faults[static_cast<int>(fault.kind)] += 1;
  std::uint32_t client = fault.client;
  Time until = now() + fault.length;
  Path& its = path(client);
  switch (fault.kind) {
    case FaultKind::cut:
      return cut_all(client, Connection::Cut::reset, true, true);
    case FaultKind::cut_after_bytes:
      return cut_after_bytes(client, fault.bytes);
    case FaultKind::cut_client_sees:
      return cut_all(client, Connection::Cut::reset, true, false);
    case FaultKind::cut_server_sees:
      return cut_all(client, Connection::Cut::reset, false, true);
    case FaultKind::end_of_file:
      return cut_all(client, Connection::Cut::end_of_file, true, true);
    case FaultKind::silence:
      return hold_all(client, true, true, until);
    case FaultKind::silence_to_server:
      return hold_all(client, true, false, until);
    case FaultKind::silence_to_client:
      return hold_all(client, false, true, until);
    case FaultKind::silence_for_good:
      return hold_all(client, true, true, kNever);
    case FaultKind::outage:
      its.refuse_until = std::max(its.refuse_until, until);
      return cut_all(client, Connection::Cut::reset, true, true);
    case FaultKind::blackout:
      its.hang_until = std::max(its.hang_until, until);
      return hold_all(client, true, true, kernel_.random().one_in(2) ? kNever : until);
    case FaultKind::slow_hello:
      its.slow_until = until + seconds(2);
      its.slow = fault.length;
      return cut_all(client, Connection::Cut::reset, true, kernel_.random().one_in(2));
    case FaultKind::refuse_dials:
      its.refuse_until = std::max(its.refuse_until, until);
      return;
    case FaultKind::hang_dials:
      its.hang_until = std::max(its.hang_until, until);
      return;
    case FaultKind::replay_hello:
      return replay_hello(client, fault.length);
    case FaultKind::late_turn_client:
      if (clients_[client]->running()) clients_[client]->agent()->stall(until);
      return;
    case FaultKind::late_turn_server:
      longest_server_stall_ = std::max(longest_server_stall_, fault.length);
      if (server_->running()) server_->agent()->stall(until);
      return;
    case FaultKind::reconnect:
      return clients_[client]->reconnect();
    case FaultKind::address_change:
      return clients_[client]->network_changed();
    case FaultKind::kill_stream_client:
      return kill_some_stream(0);
    case FaultKind::kill_stream_server:
      return kill_some_stream(1);
    case FaultKind::storm:
      its.storm_until = std::max(its.storm_until, until);
      return shape_path(client);
    case FaultKind::swallow:
      its.swallow_until = std::max(its.swallow_until, until);
      return shape_path(client);
    case FaultKind::small_packets:
      its.swallow_over = static_cast<std::uint32_t>(fault.bytes);
      return shape_path(client);
    case FaultKind::middlebox:
      its.answer_until = std::max(its.answer_until, until);
      return cut_all(client, Connection::Cut::reset, true, kernel_.random().one_in(2));
    case FaultKind::names_fail:
    case FaultKind::names_hang:
    case FaultKind::names_unknown:
    case FaultKind::descriptors_client:
    case FaultKind::descriptors_server:
    case FaultKind::limit_server:
      return apply_scarcity(fault);
    default:
      return apply_process_fault(fault);
  }
}

void World::apply_process_fault(const Fault& fault) {
  std::uint32_t client = fault.client;
  Time until = now() + fault.length;
  ClientHost& host = *clients_[client];
  bool server_stalled = server_->running() && server_->agent()->stalled();
  switch (fault.kind) {
    case FaultKind::restart_client:
      restart_client(client);
      return schedule(until, What::restart_client, client, 0);
    case FaultKind::restart_server:
      excuse_all(&Excuses::server_restarted);
      server_->kill();
      return schedule(until, What::restart_server, 0, 0);
    case FaultKind::goodbye_lost:
      hold_all(client, true, true, kNever);
      [[fallthrough]];
    case FaultKind::goodbye_client:
      if (!host.running() || host.agent()->stalled()) return;
      excuse(client, &Excuses::goodbye);
      host.goodbye();
      return schedule(until + seconds(2), What::restart_client, client, 0);
    case FaultKind::goodbye_server:
      if (server_stalled) return;
      excuse_all(&Excuses::goodbye);
      excuse_all(&Excuses::server_restarted);
      server_->goodbye();
      return schedule(until, What::restart_server, 0, 1);
    case FaultKind::drain_server:
      if (server_stalled) return;
      excuse_all(&Excuses::drain);
      for (auto& conversation : conversations_) conversation->excuses.drain = true;
      server_->drain();
      return schedule(until, What::restart_server, 0, 1);
    case FaultKind::clone_client:
      return clone_client(client, fault.length + milliseconds(500));
    default:
      throw Failure("a fault that nobody does");
  }
}

}  // namespace holdfast::sim
