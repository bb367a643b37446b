#include "tests/sim/kernel/kernel.h"

#include "tests/sim/kernel/connection.h"
#include "tests/sim/kernel/failure.h"
#include "tests/sim/kernel/names.h"
#include "tests/sim/kernel/process.h"
#include "tests/sim/kernel/socket.h"
#include "tests/sim/kernel/timer_file.h"

namespace holdfast::sim {

Kernel::Kernel(std::uint64_t seed, Internet& network)
    : random_(seed), network_(network), names_(std::make_unique<Names>(*this)) {}

Kernel::~Kernel() = default;

bool Kernel::step(Time until) {
  if (events_.empty() || events_.top().at > until) return false;
  Event event = events_.pop();
  advance(event.at);
  event.sink->on_event(event);
  check();
  return true;
}

void Kernel::schedule(Time at, Kind kind, std::uint32_t index, std::uint64_t detail) {
  events_.push(std::max(at, now_), *this, static_cast<std::uint32_t>(kind), index, detail);
}

void Kernel::on_event(const Event& event) {
  switch (static_cast<Kind>(event.kind)) {
    case Kind::turn:
      if (Process* process = processes_[event.index]) process->run_due(event.detail);
      return;
    case Kind::timer: {
      Process* process = processes_[event.index];
      File* file = process == nullptr ? nullptr : process->find(static_cast<int>(event.detail));
      if (file != nullptr && file->kind() == File::Kind::timer) {
        static_cast<TimerFile*>(file)->look();
      }
      return;
    }
    case Kind::thread:
      return names_->due(event.detail);
    default:
      if (Connection* found = connection(event.detail)) {
        found->on_event(static_cast<Kind>(event.kind), event.index);
      }
  }
}

void Kernel::blame(const std::string& what) {
  if (blame_.empty()) blame_ = what;
}

void Kernel::check() const {
  require(blame_.empty(), blame_);
}

std::uint32_t Kernel::enter(Process& process) {
  processes_.push_back(&process);
  return static_cast<std::uint32_t>(processes_.size() - 1);
}

void Kernel::leave(Process& process) {
  processes_[process.number()] = nullptr;
}

// --- Sockets -----------------------------------------------------------------------------------

bool Kernel::listen(const Address& address, Socket& socket) {
  return listeners_.emplace(address, &socket).second;
}

Socket* Kernel::listener(const Address& address) {
  auto found = listeners_.find(address);
  return found == listeners_.end() ? nullptr : found->second;
}

void Kernel::socket_gone(Socket& socket) {
  auto found = listeners_.find(socket.own());
  if (found != listeners_.end() && found->second == &socket) listeners_.erase(found);
  for (auto& [number, each] : connections_) each->socket_gone(socket);
  network_.socket_gone(socket);
}

// --- Connections -------------------------------------------------------------------------------

Connection& Kernel::dial(Socket& socket, Path& path, const Address& to) {
  Connection& made =
      add_connection(std::make_unique<Connection>(*this, next_connection(), path, to));
  made.dial(socket);
  return made;
}

Connection& Kernel::add_connection(std::unique_ptr<Connection> connection) {
  std::uint64_t number = connection->number();
  return *connections_.emplace(number, std::move(connection)).first->second;
}

Connection* Kernel::connection(std::uint64_t number) {
  auto found = connections_.find(number);
  return found == connections_.end() ? nullptr : found->second.get();
}

void Kernel::forget(std::uint64_t connection) {
  auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  network_.gone(*found->second);
  connections_.erase(found);
}

}  // namespace holdfast::sim
