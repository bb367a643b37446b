// [link] congestion_control, tried on a socket: what a host has differs from host to host.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "common/config/values_text.h"

namespace holdfast::value {
namespace {

// TCP_CA_NAME_MAX (linux/tcp.h), with the zero.
constexpr std::size_t kLongestName = 15;

// 0, or the errno of setting it.
int try_it(const std::string& name) {
  int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return 0;  // no network to try it in
  int done = setsockopt(probe, IPPROTO_TCP, TCP_CONGESTION, name.data(),
                        static_cast<socklen_t>(name.size()));
  int error = done == 0 ? 0 : errno;
  close(probe);
  return error;
}

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

// How a carrier's bytes are paced (tcp(7), TCP_CONGESTION): one that this host has and lets us use.
std::optional<std::string> read_congestion_control(const std::string& name, const Place& place,
                                                   const Loading& loading) {
  bool good = name.size() <= kLongestName;
  for (char letter : name) {
    good = good && ((letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') ||
                    letter == '_' || letter == '-');
  }
  if (!good) {
    loading.report.error(place, "\"" + name + "\" is no congestion control",
                         "write a name such as \"bbr\" or \"cubic\"");
    return std::nullopt;
  }
  if (loading.surroundings == Environment::ignored) return name;
  int error = try_it(name);
  if (error == EPERM) {
    loading.report.error(place, "only root may use \"" + name + "\" on this host",
                         "sysctl net.ipv4.tcp_allowed_congestion_control=\"" +
                             first_line("/proc/sys/net/ipv4/tcp_allowed_congestion_control") + " " +
                             name + "\"");
  } else if (error != 0) {
    loading.report.error(place, "this host has no congestion control \"" + name + "\"",
                         "it has " +
                             first_line("/proc/sys/net/ipv4/tcp_available_congestion_control") +
                             "; others are kernel modules: modprobe tcp_" + name);
  }
  return name;
}

}  // namespace holdfast::value
