// Connection: a TCP connection over a path: two flows, an end for each socket, and what may happen
// to it on the way.
//
//   dialling --SYN answered--> standing --both ends closed--> forgotten
//      |    (lost SYNs are sent again)     |
//      +--refused, or given up             +--cut: what is written from now on goes nowhere
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "tests/sim/kernel/address.h"
#include "tests/sim/kernel/flow.h"
#include "tests/sim/kernel/kernel.h"

namespace holdfast::sim {

class TcpEnd;

class Connection {
 public:
  // Sides: 0 is who dialled, 1 whom.
  enum class Cut : std::uint8_t { reset, end_of_file };

  Connection(Kernel& kernel, std::uint64_t number, Path& path, const Address& to);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  std::uint64_t number() const { return number_; }
  Path& path() { return path_; }
  Kernel& kernel() { return kernel_; }
  Flow& flow(Direction direction) { return flows_[static_cast<int>(direction)]; }
  Flow& flow_from(int side) { return flows_[side]; }
  Flow& flow_to(int side) { return flows_[1 - side]; }
  // Where it was dialled from.
  const Address& from() const { return from_; }
  bool standing() const { return standing_; }
  Time stands_since() const { return stands_since_; }
  bool open(int side) const { return ends_[side] != nullptr; }
  // Nobody dialled it: somebody plays back what was said on another.
  bool ghost() const { return ghost_; }

  void dial(Socket& socket);
  // Dials for nobody and says `bytes`. False: nobody listens.
  bool haunt(const std::vector<std::uint8_t>& bytes);
  void exorcise();  // the end of that; may destroy this

  // --- Faults ---
  // Whoever sees it reads so at once, behind what has arrived (and perhaps some of what is under
  // way). Who does not hears nothing more for a while, or ever.
  void cut(Cut how, bool client_sees, bool server_sees);
  // Cut for both once so many bytes were written in that direction.
  void cut_at(Direction direction, std::uint64_t offset);
  // What was planned by cut_at() does not come.
  void spare() { cut_at_[0] = cut_at_[1] = UINT64_MAX; }
  void hold(Direction direction, Time until);
  void path_changed();
  bool was_cut() const { return cut_; }

  // What the client said before it was answered; all of it, if wanted. At most 64 KiB.
  void record_all() { record_all_ = true; }
  const std::vector<std::uint8_t>& said() const { return said_; }

  // --- The ends' ---
  void write(int side, Bytes bytes);
  void wrote(int side);  // all of a send
  void read(int side);
  void say_end(int side);
  void close(int side, bool abort);  // may destroy this

  // --- The kernel's ---
  void on_event(Kernel::Kind kind, std::uint32_t index);
  void socket_gone(const Socket& socket);

 private:
  void try_syn();
  void answered();
  void refused(int error);
  void arrived(Direction direction);
  void acknowledged(Direction direction);
  void send_reset(int to_side, Time at);
  void reset_came(int side);
  void end_came(int side);
  void schedule(Direction direction);
  void attend(Time at, Time& planned, Kernel::Kind kind, Direction direction);

  Kernel& kernel_;
  std::uint64_t number_;
  Path& path_;
  Address to_;
  Address from_;
  Flow flows_[2];
  TcpEnd* ends_[2] = {nullptr, nullptr};
  Socket* dialling_ = nullptr;
  int syns_ = 0;
  bool standing_ = false;
  Time stands_since_{};
  bool ghost_ = false;
  bool cut_ = false;
  bool severed_[2] = {false, false};  // what that side writes goes nowhere
  std::uint64_t cut_at_[2] = {UINT64_MAX, UINT64_MAX};
  Time arrival_planned_[2] = {kNever, kNever};
  Time ack_planned_[2] = {kNever, kNever};
  bool record_all_ = false;
  std::vector<std::uint8_t> said_;
};

}  // namespace holdfast::sim
