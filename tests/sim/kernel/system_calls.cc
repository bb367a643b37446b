// The program's system calls: the linker's --wrap (CMakeLists.txt) leads each through here. Those
// that a simulated process makes, or that name a descriptor of one, are answered by the simulated
// kernel; all others go to the real one.
#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstring>

#include "tests/sim/kernel/epoll.h"
#include "tests/sim/kernel/kernel.h"
#include "tests/sim/kernel/netlink_socket.h"
#include "tests/sim/kernel/process.h"
#include "tests/sim/kernel/socket.h"
#include "tests/sim/kernel/timer_file.h"
#include "tests/sim/kernel/wrapped.h"

namespace holdfast::sim {
namespace {

bool simulated(int descriptor) {
  return descriptor >= Process::kFirstDescriptor;
}

// Null with EBADF: there is none of this number. A live process that uses a closed one is wrong.
File* find(int descriptor) {
  Process* process = Process::running();
  File* file = process == nullptr ? nullptr : process->find(descriptor);
  if (file != nullptr) return file;
  if (process != nullptr && !process->dead())
    process->kernel().blame("a call on a closed descriptor");
  errno = EBADF;
  return nullptr;
}

Socket* find_socket(int descriptor) {
  File* file = find(descriptor);
  if (file == nullptr) return nullptr;
  if (file->kind() == File::Kind::socket) return static_cast<Socket*>(file);
  errno = ENOTSOCK;
  return nullptr;
}

// A duplicated descriptor: good for its number.
class Duplicate final : public File {
 public:
  Duplicate() : File(Kind::duplicate) {}
  std::uint32_t readiness() const override { return 0; }
};

void write_address(const Address& address, sockaddr* to, socklen_t* size) {
  sockaddr_in v4 = address.to_sockaddr();
  std::memcpy(to, &v4, std::min<std::size_t>(*size, sizeof v4));
  *size = sizeof v4;
}

int unsupported() {
  errno = EAFNOSUPPORT;
  return -1;
}

}  // namespace
}  // namespace holdfast::sim

using holdfast::Time;
using holdfast::sim::Address;
using holdfast::sim::Epoll;
using holdfast::sim::File;
using holdfast::sim::find;
using holdfast::sim::find_socket;
using holdfast::sim::Process;
using holdfast::sim::simulated;
using holdfast::sim::Socket;

// --- Making and ending -------------------------------------------------------------------------

HOLDFAST_WRAPPED(int, socket, (int family, int type, int protocol)) {
  Process* process = Process::running();
  if (process == nullptr) return __real_socket(family, type, protocol);
  if (family == AF_INET) return process->add(std::make_unique<Socket>(*process));
  if (family == AF_NETLINK) {
    return process->add(std::make_unique<holdfast::sim::NetlinkSocket>());
  }
  return holdfast::sim::unsupported();
}

HOLDFAST_WRAPPED(int, epoll_create1, (int flags)) {
  Process* process = Process::running();
  if (process == nullptr) return __real_epoll_create1(flags);
  return process->add(std::make_unique<Epoll>(*process));
}

HOLDFAST_WRAPPED(int, timerfd_create, (int clock, int flags)) {
  Process* process = Process::running();
  if (process == nullptr) return __real_timerfd_create(clock, flags);
  auto timer = std::make_unique<holdfast::sim::TimerFile>(*process);
  holdfast::sim::TimerFile& made = *timer;
  int descriptor = process->add(std::move(timer));
  made.set_descriptor(descriptor);
  return descriptor;
}

HOLDFAST_WRAPPED(int, close, (int descriptor)) {
  if (!simulated(descriptor)) return __real_close(descriptor);
  if (find(descriptor) == nullptr) return -1;
  return Process::running()->close(descriptor);
}

extern "C" int __real_fcntl(int descriptor, int command, ...);
extern "C" int __wrap_fcntl(int descriptor, int command, ...);
int __wrap_fcntl(int descriptor, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  long argument = va_arg(arguments, long);
  va_end(arguments);
  if (!simulated(descriptor)) return __real_fcntl(descriptor, command, argument);
  if (find(descriptor) == nullptr) return -1;
  if (command != F_DUPFD_CLOEXEC) return 0;
  return Process::running()->add(std::make_unique<holdfast::sim::Duplicate>());
}
// Its name on 32 bits, with large files.
extern "C" int __wrap_fcntl64(int descriptor, int command, ...)
    __attribute__((alias("__wrap_fcntl")));

// --- Sockets -----------------------------------------------------------------------------------

HOLDFAST_WRAPPED(int, bind, (int descriptor, const sockaddr* address, socklen_t size)) {
  if (!simulated(descriptor)) return __real_bind(descriptor, address, size);
  File* file = find(descriptor);
  if (file == nullptr) return -1;
  if (file->kind() == File::Kind::netlink) return 0;
  return static_cast<Socket*>(file)->bind(Address::of(address));
}

HOLDFAST_WRAPPED(int, listen, (int descriptor, int backlog)) {
  if (!simulated(descriptor)) return __real_listen(descriptor, backlog);
  Socket* socket = find_socket(descriptor);
  return socket == nullptr ? -1 : socket->listen();
}

HOLDFAST_WRAPPED(int, connect, (int descriptor, const sockaddr* address, socklen_t size)) {
  if (!simulated(descriptor)) return __real_connect(descriptor, address, size);
  Socket* socket = find_socket(descriptor);
  return socket == nullptr ? -1 : socket->connect(Address::of(address));
}

HOLDFAST_WRAPPED(int, accept4, (int descriptor, sockaddr* peer, socklen_t* size, int flags)) {
  if (!simulated(descriptor)) return __real_accept4(descriptor, peer, size, flags);
  Socket* socket = find_socket(descriptor);
  return socket == nullptr ? -1 : socket->accept();
}

HOLDFAST_WRAPPED(ssize_t, recv, (int descriptor, void* buffer, size_t size, int flags)) {
  if (!simulated(descriptor)) return __real_recv(descriptor, buffer, size, flags);
  File* file = find(descriptor);
  if (file == nullptr) return -1;
  if (file->kind() != File::Kind::socket) {
    return file->read({static_cast<std::uint8_t*>(buffer), size});
  }
  iovec one{buffer, size};
  return static_cast<Socket*>(file)->receive({&one, 1});
}

HOLDFAST_WRAPPED(ssize_t, read, (int descriptor, void* buffer, size_t size)) {
  if (!simulated(descriptor)) return __real_read(descriptor, buffer, size);
  File* file = find(descriptor);
  return file == nullptr ? -1 : file->read({static_cast<std::uint8_t*>(buffer), size});
}

HOLDFAST_WRAPPED(ssize_t, readv, (int descriptor, const iovec* buffers, int count)) {
  if (!simulated(descriptor)) return __real_readv(descriptor, buffers, count);
  Socket* socket = find_socket(descriptor);
  return socket == nullptr ? -1 : socket->receive({buffers, static_cast<std::size_t>(count)});
}

HOLDFAST_WRAPPED(ssize_t, sendmsg, (int descriptor, const msghdr* message, int flags)) {
  if (!simulated(descriptor)) return __real_sendmsg(descriptor, message, flags);
  Socket* socket = find_socket(descriptor);
  return socket == nullptr ? -1 : socket->send({message->msg_iov, message->msg_iovlen});
}

HOLDFAST_WRAPPED(int, shutdown, (int descriptor, int how)) {
  if (!simulated(descriptor)) return __real_shutdown(descriptor, how);
  Socket* socket = find_socket(descriptor);
  return socket == nullptr ? -1 : socket->shut_down();
}

HOLDFAST_WRAPPED(int, setsockopt,
                 (int descriptor, int level, int name, const void* value, socklen_t size)) {
  if (!simulated(descriptor)) return __real_setsockopt(descriptor, level, name, value, size);
  Socket* socket = find_socket(descriptor);
  return socket == nullptr ? -1 : socket->set_option(level, name, value, size);
}

HOLDFAST_WRAPPED(int, getsockopt,
                 (int descriptor, int level, int name, void* value, socklen_t* size)) {
  if (!simulated(descriptor)) return __real_getsockopt(descriptor, level, name, value, size);
  Socket* socket = find_socket(descriptor);
  return socket == nullptr ? -1 : socket->get_option(level, name, value, size);
}

HOLDFAST_WRAPPED(int, getsockname, (int descriptor, sockaddr* address, socklen_t* size)) {
  if (!simulated(descriptor)) return __real_getsockname(descriptor, address, size);
  Socket* socket = find_socket(descriptor);
  if (socket == nullptr) return -1;
  holdfast::sim::write_address(socket->own(), address, size);
  return 0;
}

HOLDFAST_WRAPPED(int, getpeername, (int descriptor, sockaddr* address, socklen_t* size)) {
  if (!simulated(descriptor)) return __real_getpeername(descriptor, address, size);
  Socket* socket = find_socket(descriptor);
  if (socket == nullptr) return -1;
  holdfast::sim::write_address(socket->peer(), address, size);
  return 0;
}

extern "C" int __real_ioctl(int descriptor, unsigned long request, ...);
extern "C" int __wrap_ioctl(int descriptor, unsigned long request, ...);
int __wrap_ioctl(int descriptor, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  if (!simulated(descriptor)) return __real_ioctl(descriptor, request, argument);
  Socket* socket = find_socket(descriptor);
  return socket == nullptr ? -1 : socket->control(request, static_cast<int*>(argument));
}

// --- Waiting and time --------------------------------------------------------------------------

HOLDFAST_WRAPPED(int, epoll_ctl, (int set, int operation, int descriptor, epoll_event* event)) {
  if (!simulated(set)) return __real_epoll_ctl(set, operation, descriptor, event);
  File* file = find(set);
  File* member = file == nullptr ? nullptr : find(descriptor);
  if (member == nullptr || file->kind() != File::Kind::epoll) return -1;
  return static_cast<Epoll*>(file)->control(operation, *member, event);
}

// A process that would wait has nothing to do: it is run again when there is.
HOLDFAST_WRAPPED(int, epoll_wait, (int set, epoll_event* events, int most, int timeout)) {
  if (!simulated(set)) return __real_epoll_wait(set, events, most, timeout);
  File* file = find(set);
  if (file == nullptr || file->kind() != File::Kind::epoll) return -1;
  return static_cast<Epoll*>(file)->collect(events, most);
}

HOLDFAST_WRAPPED(int, timerfd_settime,
                 (int descriptor, int flags, const itimerspec* wanted, itimerspec* before)) {
  if (!simulated(descriptor)) return __real_timerfd_settime(descriptor, flags, wanted, before);
  File* file = find(descriptor);
  if (file == nullptr || file->kind() != File::Kind::timer) return -1;
  Time at(holdfast::seconds(wanted->it_value.tv_sec) +
          holdfast::microseconds(wanted->it_value.tv_nsec / 1000));
  static_cast<holdfast::sim::TimerFile*>(file)->set(at);
  return 0;
}

HOLDFAST_WRAPPED(int, clock_gettime, (clockid_t clock, timespec* time)) {
  Process* process = Process::running();
  if (process == nullptr || clock != CLOCK_BOOTTIME) return __real_clock_gettime(clock, time);
  std::int64_t now = process->kernel().now().time_since_epoch().count();
  time->tv_sec = now / 1000000;
  time->tv_nsec = now % 1000000 * 1000;
  return 0;
}

HOLDFAST_WRAPPED(ssize_t, getrandom, (void* buffer, size_t size, unsigned flags)) {
  Process* process = Process::running();
  if (process == nullptr) return __real_getrandom(buffer, size, flags);
  auto* bytes = static_cast<std::uint8_t*>(buffer);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::uint8_t>(process->kernel().random().next());
  }
  return static_cast<ssize_t>(size);
}
