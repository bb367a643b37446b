// Socket: a stream socket of the simulated kernel.
//
//   fresh --listen()--> listening: connections wait in its queue for accept()
//     |----connect()--> connecting --> connected, or failed
//   (accepted ones begin connected)
#pragma once

#include <sys/socket.h>

#include <deque>
#include <memory>

#include "tests/sim/kernel/address.h"
#include "tests/sim/kernel/file.h"
#include "tests/sim/kernel/stream_end.h"

namespace holdfast::sim {

class Process;

class Socket final : public File {
 public:
  explicit Socket(Process& process) : File(Kind::socket), process_(process) {}
  ~Socket() override;

  Process& process() { return process_; }
  const Address& own() const { return own_; }
  const Address& peer() const { return peer_; }

  // As the system calls: 0 or a count, or -1 with errno.
  int bind(const Address& address);
  int listen();
  int connect(const Address& address);
  int accept();  // a descriptor
  ssize_t receive(std::span<const iovec> into);
  ssize_t send(std::span<const iovec> buffers);
  int shut_down();
  int set_option(int level, int name, const void* value, socklen_t size);
  int get_option(int level, int name, void* value, socklen_t* size);
  int control(unsigned long request, int* value) const;
  std::uint32_t readiness() const override;

  // --- The network's ---
  // What connect() asked for has come about, or not.
  void connected(std::unique_ptr<StreamEnd> end);
  void connect_failed(int error);
  bool connecting() const { return state_ == State::connecting; }
  // A connection for a listening one.
  void queue(std::unique_ptr<StreamEnd> end, const Address& peer);
  std::uint32_t max_segment() const { return max_segment_; }

 private:
  enum class State : std::uint8_t { fresh, listening, connecting, connected, failed };
  struct Waiting {
    std::unique_ptr<StreamEnd> end;
    Address peer;
  };

  Process& process_;
  State state_ = State::fresh;
  Address own_;
  Address peer_;
  bool abort_ = false;             // SO_LINGER {1, 0}
  std::uint32_t max_segment_ = 0;  // TCP_MAXSEG; 0: the path's
  std::uint32_t unsent_most_ = 0;  // TCP_NOTSENT_LOWAT
  int error_ = 0;                  // of connect()
  bool success_told_ = false;
  std::unique_ptr<StreamEnd> end_;
  std::deque<Waiting> waiting_;
};

}  // namespace holdfast::sim
