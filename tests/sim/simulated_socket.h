// SimulatedSocket: a descriptor whose system calls the simulator answers itself.
//
// The linker's --wrap (CMakeLists.txt) leads every recv(), sendmsg() and shutdown() of the program
// through simulated_socket.cc: for the number of one of these they come here, for any other they
// go to the kernel. So the project's transports run unchanged, yet how many bytes a call takes,
// when it would block and how the other side ends is the simulation's decision alone.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <span>

#include "common/base/bytes.h"

namespace holdfast::sim {

class SimulatedSocket {
 public:
  SimulatedSocket();  // takes a number that no file of the kernel's has
  virtual ~SimulatedSocket();
  SimulatedSocket(const SimulatedSocket&) = delete;
  SimulatedSocket& operator=(const SimulatedSocket&) = delete;

  int descriptor() const { return descriptor_; }

  // As recv(2), sendmsg(2) and shutdown(2) with SHUT_WR on a non-blocking stream socket: a count,
  // 0 for the end of input, or -1 with errno set.
  virtual ssize_t receive(MutableBytes buffer) = 0;
  virtual ssize_t send(std::span<const iovec> buffers) = 0;
  virtual void shut_down() = 0;

 private:
  int descriptor_;
};

}  // namespace holdfast::sim
