// TcpEnd: one end of a connection over a path.
#pragma once

#include "tests/sim/kernel/stream_end.h"

namespace holdfast::sim {

class Connection;

class TcpEnd final : public StreamEnd {
 public:
  TcpEnd(Connection& connection, int side) : connection_(&connection), side_(side) {}

  void close(bool abort) override;
  std::size_t unread() const override;
  std::size_t unacknowledged() const override;
  std::size_t unsent() const override;
  void describe(tcp_info& info) const override;
  void limit_unsent(std::size_t bytes) override;

  // --- The connection's ---
  void bytes_came() { input_came(); }
  void end_came() { input_ended(); }
  void reset_came();
  void room_came() { StreamEnd::room_came(); }
  void forget_connection() { connection_ = nullptr; }

 private:
  void take(MutableBytes into) override;
  std::size_t room() const override;
  void put(Bytes bytes) override;
  void all_put() override;
  bool writable() const override;
  void say_end() override;

  Connection* connection_;
  int side_;
};

}  // namespace holdfast::sim
