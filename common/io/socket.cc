#include "common/io/socket.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <system_error>

#include "common/base/overloaded.h"

namespace holdfast {
namespace {

void set_option(int descriptor, int level, int name, int value) {
  // An option that the socket's kind lacks changes nothing that we promise.
  (void)setsockopt(descriptor, level, name, &value, sizeof value);
}

void set_linger(int descriptor, const linger& value) {
  (void)setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, sizeof value);
}

void reset_at_close(int descriptor) {
  set_linger(descriptor, {1, 0});
}

void end_in_order_at_close(int descriptor) {
  set_linger(descriptor, {0, 0});
}

}  // namespace

void Descriptor::reset(int descriptor) {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = descriptor;
}

std::string to_string(const NetAddress& address) {
  return std::visit(overloaded{
                        [](const HostPort& tcp) {
                          bool v6 = tcp.host.find(':') != std::string::npos;
                          return (v6 ? "[" + tcp.host + "]" : tcp.host) + ":" +
                                 std::to_string(tcp.port);
                        },
                        [](const UnixPath& unix_socket) { return "unix:" + unix_socket.path; },
                    },
                    address);
}

std::string to_string(const NetListenAddress& address) {
  return std::visit(overloaded{[](const PassedSocket& passed) { return "systemd:" + passed.name; },
                               [](const auto& ours) { return to_string(NetAddress(ours)); }},
                    address);
}

SocketAddress::SocketAddress(const sockaddr* address, socklen_t size) {
  size_ = std::min<socklen_t>(size, sizeof storage_);
  std::memcpy(&storage_, address, size_);
}

std::optional<SocketAddress> SocketAddress::literal(const HostPort& address) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  std::string port = std::to_string(address.port);
  if (getaddrinfo(address.host.c_str(), port.c_str(), &hints, &found) != 0) return std::nullopt;
  SocketAddress result(found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return result;
}

std::optional<SocketAddress> SocketAddress::unix_path(const std::string& path) {
  sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path) return std::nullopt;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return SocketAddress(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

std::optional<SocketAddress> SocketAddress::from(const Endpoint& endpoint) {
  if (endpoint.family == EndpointFamily::ipv4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    std::memcpy(&v4.sin_addr, endpoint.address.data(), 4);
    return SocketAddress(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
  }
  if (endpoint.family != EndpointFamily::ipv6) return std::nullopt;
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(endpoint.port);
  std::memcpy(&v6.sin6_addr, endpoint.address.data(), 16);
  return SocketAddress(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
}

SocketAddress SocketAddress::peer_of(int descriptor) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  return SocketAddress(reinterpret_cast<const sockaddr*>(&storage), size);
}

SocketAddress SocketAddress::own_of(int descriptor) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  return SocketAddress(reinterpret_cast<const sockaddr*>(&storage), size);
}

Endpoint SocketAddress::endpoint() const {
  Endpoint result;
  if (family() == AF_INET) {
    const auto& v4 = *reinterpret_cast<const sockaddr_in*>(&storage_);
    result.family = EndpointFamily::ipv4;
    result.port = ntohs(v4.sin_port);
    std::memcpy(result.address.data(), &v4.sin_addr, 4);
  } else if (family() == AF_INET6) {
    const auto& v6 = *reinterpret_cast<const sockaddr_in6*>(&storage_);
    result.family = EndpointFamily::ipv6;
    result.port = ntohs(v6.sin6_port);
    std::memcpy(result.address.data(), &v6.sin6_addr, 16);
  } else if (family() == AF_UNIX) {
    result.family = EndpointFamily::unix_socket;
  }
  return result;
}

bool SocketAddress::is_loopback() const {
  if (family() == AF_INET) {
    return ntohl(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_addr.s_addr) >> 24 == 127;
  }
  return family() == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_addr);
}

std::string SocketAddress::to_string() const {
  if (is_unix()) {
    const auto& address = *reinterpret_cast<const sockaddr_un*>(&storage_);
    std::string_view path(address.sun_path, strnlen(address.sun_path, sizeof address.sun_path));
    return "unix:" + std::string(path);
  }
  return endpoint().to_string();
}

SocketAddress SocketAddress::with_port(std::uint16_t port) const {
  SocketAddress result = *this;
  if (family() == AF_INET) {
    reinterpret_cast<sockaddr_in*>(&result.storage_)->sin_port = htons(port);
  } else if (family() == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(&result.storage_)->sin6_port = htons(port);
  }
  return result;
}

std::string SocketAddress::host() const {
  Endpoint without_port = endpoint();
  without_port.port = 0;
  return without_port.to_string();
}

bool SocketAddress::operator==(const SocketAddress& other) const {
  return size_ == other.size_ && std::memcmp(&storage_, &other.storage_, size_) == 0;
}

Descriptor make_socket(int family) {
  return Descriptor(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

Descriptor make_multipath_socket(int family) {
  constexpr int kType = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  bool ip = family == AF_INET || family == AF_INET6;
  Descriptor descriptor(ip ? socket(family, kType, IPPROTO_MPTCP) : -1);
  return descriptor.valid() ? std::move(descriptor) : make_socket(family);
}

void tune_application_socket(int descriptor, const SocketAddress& address) {
  if (address.is_unix() || address.is_loopback()) {
    set_option(descriptor, SOL_SOCKET, SO_SNDBUF, kLocalSendBuffer);
  } else {
    set_option(descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kApplicationNotSent);
  }
  if (address.is_unix()) return;
  reset_at_close(descriptor);
  set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
  // An urgent byte stays where it was written: else the kernel would keep it apart, and it was
  // lost.
  set_option(descriptor, SOL_SOCKET, SO_OOBINLINE, 1);
}

void tune_carrier_socket(int descriptor) {
  set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, kCarrierNotSent);
}

void set_not_sent(int descriptor, int bytes) {
  set_option(descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, bytes);
}

void set_max_segment(int descriptor, int bytes) {
  set_option(descriptor, IPPROTO_TCP, TCP_MAXSEG, bytes);
}

int set_congestion_control(int descriptor, const std::string& name) {
  int done = setsockopt(descriptor, IPPROTO_TCP, TCP_CONGESTION, name.data(),
                        static_cast<socklen_t>(name.size()));
  return done == 0 ? 0 : errno;
}

int make_transparent(int descriptor, int family) {
  int on = 1;
  bool v6 = family == AF_INET6;
  int done = setsockopt(descriptor, v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT,
                        &on, sizeof on);
  return done == 0 ? 0 : errno;
}

bool is_address_of_this_host(const IpAddress& address) {
  if (is_own_host(address)) return true;
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) return false;
  bool found = false;
  for (const ifaddrs* each = first; each != nullptr && !found; each = each->ifa_next) {
    if (each->ifa_addr == nullptr) continue;
    socklen_t size =
        each->ifa_addr->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    auto own = ip_of(SocketAddress(each->ifa_addr, size).endpoint());
    found = own && *own == address;
  }
  freeifaddrs(first);
  return found;
}

void clear_linger(int descriptor) {
  end_in_order_at_close(descriptor);
}

void close_with_reset(Descriptor& descriptor) {
  if (!descriptor.valid()) return;
  reset_at_close(descriptor.get());
  descriptor.reset();
}

int take_socket_error(int descriptor) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

bool is_over(int descriptor) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return false;
  return info.tcpi_state == TCP_CLOSE;
}

std::size_t unsent_bytes(int descriptor) {
  int bytes = 0;
  if (ioctl(descriptor, SIOCOUTQ, &bytes) != 0 || bytes < 0) return 0;
  return static_cast<std::size_t>(bytes);
}

std::size_t unsent_bytes_not_under_way(int descriptor) {
  int bytes = 0;
  if (ioctl(descriptor, SIOCOUTQNSD, &bytes) != 0 || bytes < 0) return 0;
  return static_cast<std::size_t>(bytes);
}

Duration measured_round_trip(int descriptor) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return {};
  return microseconds(info.tcpi_rtt);
}

ssize_t send_vector(int descriptor, std::span<const iovec> buffers, More more) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(buffers.data());  // sendmsg does not change them
  message.msg_iovlen = buffers.size();
  ssize_t sent = 0;
  do {
    sent = sendmsg(descriptor, &message, MSG_NOSIGNAL | (more == More::yes ? MSG_MORE : 0));
  } while (sent < 0 && errno == EINTR);
  return sent;
}

std::string error_text(int error) {
  return std::generic_category().message(error);
}

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  return static_cast<std::size_t>(limit.rlim_cur);
}

}  // namespace holdfast
