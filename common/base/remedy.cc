#include "common/base/remedy.h"

#include <cerrno>

namespace holdfast {

std::string tcp_listen_remedy(int error) {
  switch (error) {
    case EADDRINUSE:
      return "; stop who listens there (`ss -ltnp` shows it), or choose another port";
    case EADDRNOTAVAIL:
      return "; no interface of this host has that address (see `ip address`)";
    case EACCES:
      return "; ports below 1024 need CAP_NET_BIND_SERVICE or a socket unit of systemd";
    default:
      return "";
  }
}

std::string unix_listen_remedy(int error) {
  switch (error) {
    case EADDRINUSE:
      return "; stop who listens there (`ss -lxp` shows it), or choose another path";
    default:
      return write_remedy(error);
  }
}

std::string write_remedy(int error) {
  switch (error) {
    case ENOENT:
      return "; create its folder";
    case EACCES:
      return "; let the agent's user write there";
    case EROFS:
      return "; under systemd, a unit may write only where ReadWritePaths= says";
    default:
      return "";
  }
}

}  // namespace holdfast
