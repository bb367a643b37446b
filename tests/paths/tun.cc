#include "tests/paths/tun.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "common/base/check.h"

namespace holdfast::paths {
namespace {

Error system_error(const std::string& what) {
  return Error{what + ": " + std::strerror(errno)};
}

Result<int> open_here(const std::string& device) {
  int tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (tun < 0) return system_error("/dev/net/tun");
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  device.copy(request.ifr_name, IFNAMSIZ - 1);
  if (ioctl(tun, TUNSETIFF, &request) != 0) {
    Error error = system_error("TUNSETIFF " + device);
    close(tun);
    return error;
  }
  return tun;
}

}  // namespace

Result<int> open_tun(const std::string& space, const std::string& device) {
  int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  int there = open(("/run/netns/" + space).c_str(), O_RDONLY | O_CLOEXEC);
  if (home < 0 || there < 0 || setns(there, CLONE_NEWNET) != 0) {
    Error error = system_error("network namespace " + space);
    if (home >= 0) close(home);
    if (there >= 0) close(there);
    return error;
  }
  Result<int> tun = open_here(device);
  HOLDFAST_CHECK(setns(home, CLONE_NEWNET) == 0);
  close(home);
  close(there);
  return tun;
}

}  // namespace holdfast::paths
