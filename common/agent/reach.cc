#include "common/agent/reach.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace holdfast {
namespace {

std::string own_host(const std::string& host) {
  if (host == "0.0.0.0") return "127.0.0.1";
  return host == "::" ? "::1" : host;
}

std::string text_of(const addrinfo& found) {
  char host[NI_MAXHOST] = "", port[NI_MAXSERV] = "";
  ::getnameinfo(found.ai_addr, found.ai_addrlen, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
  return found.ai_family == AF_INET6 ? "[" + std::string(host) + "]:" + port
                                     : std::string(host) + ":" + port;
}

}  // namespace

Result<std::vector<Reachable>> look_up(const TcpAddress& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  int failed = ::getaddrinfo(own_host(address.host).c_str(), std::to_string(address.port).c_str(),
                             &hints, &list);
  if (failed != 0) {
    return Error{failed == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(failed)};
  }
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  std::vector<Reachable> found;
  for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
    Reachable one{text_of(*each), {}, each->ai_addrlen};
    std::memcpy(&one.address, each->ai_addr, each->ai_addrlen);
    found.push_back(one);
  }
  return found;
}

Reachable at_path(const UnixAddress& address) {
  Reachable one{"unix:" + address.path, {}, sizeof(sockaddr_un)};
  auto* name = reinterpret_cast<sockaddr_un*>(&one.address);
  name->sun_family = AF_UNIX;
  address.path.copy(name->sun_path, sizeof name->sun_path - 1);
  return one;
}

Reached reach(const Reachable& where, std::chrono::milliseconds patience) {
  Descriptor fd(::socket(where.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return {Descriptor(), errno};
  int done = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&where.address), where.size);
  if (done == 0) return {std::move(fd), 0};
  if (errno != EINPROGRESS) return {Descriptor(), errno};
  pollfd one{fd.get(), POLLOUT, 0};
  if (::poll(&one, 1, static_cast<int>(patience.count())) <= 0) return {Descriptor(), ETIMEDOUT};
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return {Descriptor(), error};
  return {std::move(fd), 0};
}

std::string connect_remedy(int error, const std::string& who) {
  switch (error) {
    case ECONNREFUSED:
      return "nothing listens there: is " + who +
             " running, and on this port? (a firewall may "
             "refuse, too)";
    case ETIMEDOUT:
      return "no answer at all: a firewall that drops, a wrong address, or a host that is down";
    case ENETUNREACH:
    case EHOSTUNREACH:
      return "there is no way there: look at addresses and routes of this host (ip route get)";
    case ENOENT:
      return "there is no such socket: is " + who + " running?";
    case EACCES:
    case EPERM:
      return "not allowed: a firewall of this host, or permissions of the socket";
    default:
      return "look at the network of this host";
  }
}

}  // namespace holdfast
