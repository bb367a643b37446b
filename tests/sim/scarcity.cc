// Faults of what is around a path: its own quality, names, descriptors, limits.
#include <algorithm>

#include "tests/sim/kernel/names.h"
#include "tests/sim/world.h"

namespace holdfast::sim {
namespace {

constexpr std::uint32_t kStormLoss = 600;  // of 1,000 segments
constexpr std::uint32_t kSwallowOver = 500;
// A look-up that began while the name server was silent gets others beside it.
constexpr Duration kLookUpAgain = seconds(5);

}  // namespace

// As the faults that last make it.
void World::shape_path(std::uint32_t client) {
  Path& its = path(client);
  Path::Shape shape = options_.path;
  shape.largest = std::min(shape.largest, its.swallow_over);
  Time next = kNever;
  if (now() < its.storm_until) {
    shape.loss = kStormLoss;
    next = its.storm_until;
  }
  if (now() < its.swallow_until) {
    shape.largest = std::min(shape.largest, kSwallowOver);
    next = std::min(next, its.swallow_until);
  }
  its.reshape(shape);
  for (Connection* each : carriers_of(client)) each->path_changed();
  if (next != kNever) schedule(next, What::shape_path, client, 0);
}

void World::apply_scarcity(const Fault& fault) {
  Time until = now() + fault.length;
  Names& names = kernel_.names();
  switch (fault.kind) {
    case FaultKind::names_fail:
      names_known_from_ = std::max(names_known_from_, until);
      return names.fail_until(until);
    case FaultKind::names_hang:
      names_known_from_ = std::max(names_known_from_, until + kLookUpAgain);
      return names.hang_until(until);
    case FaultKind::names_unknown:
      names_known_from_ = std::max(names_known_from_, until);
      names.forget();
      return schedule(until, What::name_servers_back, 0, 0);
    case FaultKind::descriptors_client:
      return take_descriptors(0, fault.client, fault.length, fault.bytes);
    case FaultKind::descriptors_server:
      return take_descriptors(1, 0, fault.length, fault.bytes);
    default:
      limit_server(static_cast<std::uint32_t>(1 + fault.bytes));
      return schedule(until, What::limit_server, 0, options_.server_streams);
  }
}

// --- Descriptors -------------------------------------------------------------------------------

void World::take_descriptors(int side, std::uint32_t client, Duration length, std::uint64_t left) {
  Process* process =
      side == 1 ? static_cast<Process*>(server_->agent()) : clients_[client]->agent();
  if (process == nullptr) return;
  process->set_limit(process->open() + left);
  scarce_until_ = std::max(scarce_until_, now() + length);
  if (side == 1) harm_who_waits_outside(now() + length);
  schedule(now() + length, What::descriptors_come_back, client, static_cast<std::uint64_t>(side));
}

// A dial that the server cannot accept waits in its backlog, and is accepted when its client has
// long gone on to another. Lanes dial also where one is up.
void World::harm_who_waits_outside(Time until) {
  for (std::uint32_t i = 0; i < options_.clients; ++i) {
    bool dials = options_.lanes > 1 || !clients_[i]->running();
    if (dials || !is_up(1, clients_[i]->link().id())) watch_.harm(i, until);
  }
}

void World::give_descriptors_back(int side, std::uint32_t client) {
  Process* process =
      side == 1 ? static_cast<Process*>(server_->agent()) : clients_[client]->agent();
  if (process != nullptr) process->set_limit(options_.descriptors);
}

// --- Limits ------------------------------------------------------------------------------------

// 0: as many as at the client.
void World::limit_server(std::uint32_t streams) {
  server_streams_ = streams == 0 ? options_.max_streams : std::min(streams, options_.max_streams);
  least_streams_ = std::min(least_streams_, server_streams_);
  server_->reload();
}

void World::end_scarcity() {
  publish_names();
  kernel_.names().fail_until(now());
  kernel_.names().hang_until(now());
  give_descriptors_back(1, 0);
  for (std::uint32_t i = 0; i < options_.clients; ++i) give_descriptors_back(0, i);
  bool troubled = options_.names || scarce_until_ != Time{};
  if (troubled) watch_.hinder_all(now() + kLookUpAgain);
}

}  // namespace holdfast::sim
