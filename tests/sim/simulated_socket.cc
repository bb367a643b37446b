#include "tests/sim/simulated_socket.h"

#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "tests/sim/failure.h"

extern "C" {
ssize_t __real_recv(int descriptor, void* buffer, size_t size, int flags);
ssize_t __real_sendmsg(int descriptor, const msghdr* message, int flags);
int __real_shutdown(int descriptor, int how);
ssize_t __wrap_recv(int descriptor, void* buffer, size_t size, int flags);
ssize_t __wrap_sendmsg(int descriptor, const msghdr* message, int flags);
int __wrap_shutdown(int descriptor, int how);
}

namespace holdfast::sim {
namespace {

// Above every number that Linux gives out (fs.nr_open is 2^20 unless somebody raised it): a call
// that escapes the wrapping fails with EBADF.
constexpr int kFirst = 1 << 28;

// The program's table, as the kernel's is.
std::vector<SimulatedSocket*>& table() {
  static std::vector<SimulatedSocket*> sockets;
  return sockets;
}

SimulatedSocket* find(int descriptor) {
  if (descriptor < kFirst) return nullptr;
  auto index = static_cast<std::size_t>(descriptor - kFirst);
  require(index < table().size() && table()[index] != nullptr, "a call on a closed descriptor");
  return table()[index];
}

}  // namespace

SimulatedSocket::SimulatedSocket() {
  auto& sockets = table();
  std::size_t index = 0;
  while (index < sockets.size() && sockets[index] != nullptr) ++index;
  if (index == sockets.size()) sockets.push_back(nullptr);
  sockets[index] = this;
  descriptor_ = kFirst + static_cast<int>(index);
}

SimulatedSocket::~SimulatedSocket() {
  table()[static_cast<std::size_t>(descriptor_ - kFirst)] = nullptr;
}

}  // namespace holdfast::sim

ssize_t __wrap_recv(int descriptor, void* buffer, size_t size, int flags) {
  auto* simulated = holdfast::sim::find(descriptor);
  if (simulated == nullptr) return __real_recv(descriptor, buffer, size, flags);
  return simulated->receive({static_cast<std::uint8_t*>(buffer), size});
}

ssize_t __wrap_sendmsg(int descriptor, const msghdr* message, int flags) {
  auto* simulated = holdfast::sim::find(descriptor);
  if (simulated == nullptr) return __real_sendmsg(descriptor, message, flags);
  return simulated->send({message->msg_iov, message->msg_iovlen});
}

int __wrap_shutdown(int descriptor, int how) {
  auto* simulated = holdfast::sim::find(descriptor);
  if (simulated == nullptr) return __real_shutdown(descriptor, how);
  simulated->shut_down();
  return 0;
}
