// StreamEnd: one end of a stream connection, as tcp(7) of Linux lets its socket see it: what a call
// returns, which error is told once, what poll says. What is behind it, a path (tcp_end.h) or an
// application of the world, says how many bytes there are and how many may be put.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>

#include "common/base/bytes.h"
#include "tests/sim/kernel/file.h"

struct tcp_info;  // linux/tcp.h has more of it than netinet/tcp.h, and they do not go together

namespace holdfast::sim {

class StreamEnd {
 public:
  virtual ~StreamEnd() = default;

  // The socket that has it, once there is one.
  void attach(File* socket) {
    socket_ = socket;
    if (socket != nullptr) accepted();
  }

  // A count, 0 for the end of input, or -1 with errno.
  ssize_t receive(std::span<const iovec> into);
  ssize_t send(std::span<const iovec> buffers);
  void shut_down();  // SHUT_WR
  // `abort`: SO_LINGER {1, 0}. The end is not used afterwards.
  virtual void close(bool abort) = 0;
  std::uint32_t readiness() const;
  int take_error();

  // SIOCINQ, SIOCOUTQ, SIOCOUTQNSD.
  virtual std::size_t unread() const = 0;
  virtual std::size_t unacknowledged() const = 0;
  virtual std::size_t unsent() const { return 0; }
  virtual void describe(tcp_info&) const {}
  virtual void limit_unsent(std::size_t) {}  // TCP_NOTSENT_LOWAT

 protected:
  virtual void take(MutableBytes into) = 0;  // at most unread()
  // Bytes that a send takes now, and how: `buffers` has at least that many.
  virtual std::size_t room() const = 0;
  virtual void put(Bytes bytes) = 0;
  virtual void all_put() {}           // of one send
  virtual bool writable() const = 0;  // EPOLLOUT
  virtual void say_end() = 0;         // FIN
  // The program has a socket for it.
  virtual void accepted() {}
  // The program was told of these by a call.
  virtual void end_told() {}
  virtual void error_told(int) {}

  // --- What is behind says ---
  void input_ended();     // FIN came
  void reset(int error);  // RST came, or the path gave up
  void input_came() { notify(EPOLLIN); }
  void room_came();
  bool broken() const { return reset_; }
  bool input_over() const { return input_ended_; }
  bool output_over() const { return shut_; }
  bool blocked() const { return blocked_; }
  void notify(std::uint32_t events) {
    if (socket_ != nullptr) socket_->notify(events);
  }

 private:
  int tell_error();

  File* socket_ = nullptr;
  int error_ = 0;  // told once
  bool reset_ = false;
  bool input_ended_ = false;
  bool shut_ = false;
  bool blocked_ = false;  // a send found no room
};

}  // namespace holdfast::sim
