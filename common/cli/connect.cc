#include "common/cli/connect.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "common/admin/snapshot_json.h"
#include "common/cli/subcommands.h"
#include "common/log/escape.h"

namespace holdfast {
namespace {

constexpr std::size_t kPiece = 128 * 1024;

// How one direction ended.
enum class Way { end, broken, no_in, no_out };

enum class AtClose { reset, end_in_order };

void set_at_close(int fd, AtClose what) {
  linger how{what == AtClose::reset ? 1 : 0, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &how, sizeof how);
}

bool wait_for(int fd, short events) {
  pollfd one{fd, events, 0};
  return ::poll(&one, 1, -1) >= 0 || errno == EINTR;
}

// A peer that is gone shows while nothing is to be read, too.
bool gone_before_input(int socket, int in) {
  pollfd both[2] = {{in, POLLIN, 0}, {socket, 0, 0}};
  while (::poll(both, 2, -1) < 0) {
    if (errno != EINTR) return true;
  }
  return (both[1].revents & (POLLERR | POLLHUP)) != 0;
}

bool send_all(int socket, const char* data, std::size_t size) {
  while (size > 0) {
    ssize_t sent = ::send(socket, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

// Standard output may be a terminal or pipe that somebody else made non-blocking.
bool write_all(int out, const char* data, std::size_t size) {
  while (size > 0) {
    ssize_t written = ::write(out, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN && wait_for(out, POLLOUT)) continue;
    if (written < 0) return false;
    data += written;
    size -= static_cast<std::size_t>(written);
  }
  return true;
}

// The other direction's call comes back, and the peer sees a reset, not an end.
void abandon(int socket) {
  sockaddr none{};
  none.sa_family = AF_UNSPEC;
  if (::connect(socket, &none, sizeof none) != 0) ::shutdown(socket, SHUT_RDWR);
}

Way upward(int socket, int in) {
  std::vector<char> piece(kPiece);
  for (;;) {
    if (gone_before_input(socket, in)) return Way::broken;
    ssize_t size = ::read(in, piece.data(), piece.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size < 0) {
      abandon(socket);
      return Way::no_in;
    }
    if (size == 0) return ::shutdown(socket, SHUT_WR) == 0 ? Way::end : Way::broken;
    if (!send_all(socket, piece.data(), static_cast<std::size_t>(size))) return Way::broken;
  }
}

// Whoever reads `out` sees its end; the number stays taken, so that nothing else gets it.
void end_output(int out) {
  ::shutdown(out, SHUT_WR);  // where it is a socket, which standard input may share
  UniqueFd nothing(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (nothing) ::dup2(nothing.get(), out);
}

Way downward(int socket, int out) {
  std::vector<char> piece(kPiece);
  for (;;) {
    ssize_t size = ::recv(socket, piece.data(), piece.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Way::broken;
    if (size == 0) {
      end_output(out);
      return Way::end;
    }
    if (!write_all(out, piece.data(), static_cast<std::size_t>(size))) {
      abandon(socket);
      return Way::no_out;
    }
  }
}

Result<UniqueFd> connect_unix(const UnixAddress& address) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  address.path.copy(name.sun_path, sizeof name.sun_path - 1);
  if (!fd || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) != 0) {
    return Error{"unix:" + address.path + ": " + std::strerror(errno)};
  }
  return fd;
}

std::string own_host(const std::string& host) {
  if (host == "0.0.0.0") return "127.0.0.1";
  return host == "::" ? "::1" : host;
}

Result<UniqueFd> connect_tcp(const TcpAddress& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  std::string host = own_host(address.host);
  int failed = ::getaddrinfo(host.c_str(), std::to_string(address.port).c_str(), &hints, &list);
  if (failed != 0) return Error{address.host + ": " + ::gai_strerror(failed)};
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> found(list, &::freeaddrinfo);
  int error = 0;
  for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
    UniqueFd fd(::socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd && ::connect(fd.get(), each->ai_addr, each->ai_addrlen) == 0) {
      int on = 1;
      ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      return fd;
    }
    error = errno;
  }
  return Error{to_string(address) + ": " + std::strerror(error)};
}

// The service's address, or the exit code after saying why there is none.
std::variant<std::string, int> address_of(const Invocation& call, const std::string& service) {
  std::map<std::string, std::string> known;
  if (call.config_path.empty() || !call.socket.empty()) {
    auto status = ask_status(call);
    if (int* code = std::get_if<int>(&status)) return *code;
    for (const auto& [name, each] : std::get<AgentSnapshot>(status).services) {
      known[name] = each.listen;
    }
  } else {
    auto loaded = load_for(call);
    if (int* code = std::get_if<int>(&loaded)) return *code;
    const auto& config = std::get<ClientConfig>(std::get<AgentConfig>(loaded));
    for (const auto& [name, each] : config.services) known[name] = join_address(each);
  }
  auto found = known.find(service);
  if (found == known.end()) {
    std::string names;
    for (const auto& [name, address] : known) names += (names.empty() ? "" : ", ") + name;
    std::string there = names.empty() ? "there is none" : "there are: " + names;
    return complain(call, "no service " + service + " in the client's config; " + there,
                    kExitUsage);
  }
  if (!found->second.empty()) return found->second;
  return complain(call,
                  "service " + service +
                      " cannot be joined: its socket comes from systemd, or it takes intercepted "
                      "connections or those with a PROXY header only",
                  kExitUsage);
}

}  // namespace

std::string join_address(const ClientServiceConfig& service) {
  if (service.mode != ServiceMode::explicit_address || service.accept_proxy) return "";
  for (const ListenAddress& each : service.listen) {
    if (std::holds_alternative<SystemdSocket>(each)) continue;
    const auto* tcp = std::get_if<TcpAddress>(&each);
    bool every = tcp != nullptr && tcp->host == kEveryHost;
    return every ? to_string(TcpAddress{"127.0.0.1", tcp->port}) : to_string(each);
  }
  return "";
}

Result<UniqueFd> connect_to(const Address& address) {
  if (const auto* path = std::get_if<UnixAddress>(&address)) return connect_unix(*path);
  return connect_tcp(std::get<TcpAddress>(address));
}

Joined join_both_ways(UniqueFd socket, int in, int out) {
  ::signal(SIGPIPE, SIG_IGN);
  set_at_close(socket.get(), AtClose::reset);
  Way up = Way::broken;
  std::thread sender([&] { up = upward(socket.get(), in); });
  Way down = downward(socket.get(), out);
  sender.join();
  if (up == Way::no_in) return Joined::no_in;
  if (down == Way::no_out) return Joined::no_out;
  if (up != Way::end || down != Way::end) return Joined::broken;
  set_at_close(socket.get(), AtClose::end_in_order);
  return Joined::in_order;
}

int do_connect(const Invocation& call, const std::string& service) {
  auto where = address_of(call, service);
  if (int* code = std::get_if<int>(&where)) return *code;
  Result<Address> address = parse_address(std::get<std::string>(where));
  if (!address) return complain(call, address.error().message, kExitFailed);
  Result<UniqueFd> socket = connect_to(*address);
  if (!socket) {
    return complain(call,
                    "nothing answers for service " + service + " at " + socket.error().message +
                        "; is the client agent running?",
                    kExitUnreachable);
  }
  switch (join_both_ways(std::move(*socket), STDIN_FILENO, STDOUT_FILENO)) {
    case Joined::in_order:
      return kExitOk;
    case Joined::broken:
      return complain(call,
                      "the connection to " + service +
                          " was reset; the cause is in the agent's log (connection_closed)",
                      kExitFailed);
    case Joined::no_in:
      return complain(call, "standard input cannot be read; the connection was reset", kExitFailed);
    case Joined::no_out:
      return complain(call, "nobody reads standard output; the connection was reset", kExitFailed);
  }
  return kExitFailed;
}

}  // namespace holdfast
