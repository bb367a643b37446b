#include "common/state/inventory.h"

#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "common/base/descriptors.h"

namespace holdfast {
namespace {

constexpr int kFirst = 3;  // after standard input, output and error

// Of level SOL_SOCKET; -1 where it is no socket.
int option_of(int descriptor, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(descriptor, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

}  // namespace

std::vector<int> list_descriptors() {
  std::vector<int> found = open_descriptors();
  std::erase_if(found, [](int each) { return each < kFirst; });
  return found;
}

DescriptorKind kind_of_descriptor(int descriptor) {
  int listens = option_of(descriptor, SO_ACCEPTCONN);
  if (listens == 1) return DescriptorKind::listener;
  if (is_stream_socket(descriptor)) return DescriptorKind::connection;
  char target[64];
  std::string path = "/proc/self/fd/" + std::to_string(descriptor);
  ssize_t size = readlink(path.c_str(), target, sizeof target);
  std::string_view name(target, size > 0 ? static_cast<std::size_t>(size) : 0);
  return name == "anon_inode:[eventpoll]" ? DescriptorKind::poller : DescriptorKind::other;
}

bool is_stream_socket(int descriptor) {
  if (option_of(descriptor, SO_TYPE) != SOCK_STREAM) return false;
  int family = option_of(descriptor, SO_DOMAIN);
  bool known = family == AF_INET || family == AF_INET6 || family == AF_UNIX;
  return known && option_of(descriptor, SO_ACCEPTCONN) == 0;
}

bool resets_at_close(int descriptor) {
  linger value{};
  socklen_t size = sizeof value;
  return getsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, &size) == 0 && value.l_onoff != 0;
}

// Applications' sockets are told by SO_OOBINLINE, which carriers have not (io/socket.h).
void close_leftover(int descriptor) {
  bool inet = is_stream_socket(descriptor) && option_of(descriptor, SO_DOMAIN) != AF_UNIX;
  if (inet && option_of(descriptor, SO_OOBINLINE) == 0) {
    linger reset{1, 0};
    (void)setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  close(descriptor);
}

}  // namespace holdfast
