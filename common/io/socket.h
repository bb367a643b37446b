// Descriptors, addresses and socket options.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>

#include "common/base/bytes.h"
#include "common/base/endpoint.h"
#include "common/base/result.h"
#include "common/base/time.h"

namespace holdfast {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  Descriptor(Descriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) reset(std::exchange(other.descriptor_, -1));
    return *this;
  }
  ~Descriptor() { reset(); }

  int get() const { return descriptor_; }
  bool valid() const { return descriptor_ >= 0; }
  void reset(int descriptor = -1);

 private:
  int descriptor_ = -1;
};

// Where to connect to or to listen, as configured.
struct HostPort {
  std::string host;  // name or literal
  std::uint16_t port = 0;
  std::string written_at{};  // where somebody wrote it, for messages; makes no other address
  bool operator==(const HostPort& other) const { return host == other.host && port == other.port; }
};
// To listen: 0.0.0.0 and [::] at once.
inline constexpr const char* kEveryAddress = "*";
struct UnixPath {
  std::string path;
  bool operator==(const UnixPath&) const = default;
};
using NetAddress = std::variant<HostPort, UnixPath>;
std::string to_string(const NetAddress& address);

// Listening sockets that a service manager made, by their FileDescriptorName= (passed_sockets.h).
struct PassedSocket {
  std::string name;
  bool operator==(const PassedSocket&) const = default;
};
using NetListenAddress = std::variant<HostPort, UnixPath, PassedSocket>;
std::string to_string(const NetListenAddress& address);

// An address that the kernel takes.
class SocketAddress {
 public:
  SocketAddress() = default;
  SocketAddress(const sockaddr* address, socklen_t size);
  // Nothing for a name.
  static std::optional<SocketAddress> literal(const HostPort& address);
  // Nothing for a path that is too long.
  static std::optional<SocketAddress> unix_path(const std::string& path);
  // Nothing for what is no IP address.
  static std::optional<SocketAddress> from(const Endpoint& endpoint);
  static SocketAddress peer_of(int descriptor);
  // What the socket is bound to.
  static SocketAddress own_of(int descriptor);

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const { return size_; }
  int family() const { return storage_.ss_family; }
  bool is_unix() const { return family() == AF_UNIX; }
  // 127.0.0.0/8 or ::1.
  bool is_loopback() const;
  // The same IP address with another port.
  SocketAddress with_port(std::uint16_t port) const;
  // The address without its port, for counting by source.
  std::string host() const;
  Endpoint endpoint() const;
  std::string to_string() const;
  bool operator==(const SocketAddress& other) const;

 private:
  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

// A new non-blocking stream socket; errno tells why there is none.
Descriptor make_socket(int family);
// Over Multipath TCP (RFC 8684); the same as make_socket() where the kernel has none.
Descriptor make_multipath_socket(int family);

// What an application's connection has: SO_LINGER {1, 0} preset, so that a killed agent never looks
// like a clean end (Unix sockets have no reset), TCP_NODELAY, keepalive, and a bound on what the
// kernel takes before it is sent: all that would lie outside every limit of ours. What is under way
// is not bounded: a round trip's worth of it is what an application far away needs, and the peer's
// kernel takes all of it. Unix sockets know no such bound and have a small send buffer, and so have
// those over loopback: there a long queue is memory that has left the caches before it is read, a
// tenth of the throughput. Accepted sockets inherit all of it from their listener.
void tune_application_socket(int descriptor, const SocketAddress& address);
inline constexpr int kApplicationNotSent = 128 * 1024;
inline constexpr int kLocalSendBuffer = 128 * 1024;  // the kernel doubles it
// Sets what a socket is to have before it connects to that address or listens on it.
using Tune = void (*)(int descriptor, const SocketAddress& address);

// A carrier's socket: little unsent in the kernel, so that what is urgent does not queue behind.
void tune_carrier_socket(int descriptor);
inline constexpr int kCarrierNotSent = 128 * 1024;
// TCP_NOTSENT_LOWAT.
void set_not_sent(int descriptor, int bytes);

// The largest segment that the connection is to have, either way (TCP_MAXSEG); before connect.
void set_max_segment(int descriptor, int bytes);
// TCP_CONGESTION (tcp(7)); 0, or errno.
int set_congestion_control(int descriptor, const std::string& name);

// Lets the socket have addresses that are not this host's (IP_TRANSPARENT; needs CAP_NET_RAW or
// CAP_NET_ADMIN). 0, or errno.
int make_transparent(int descriptor, int family);
// True for an address of one of this host's interfaces, loopback included.
bool is_address_of_this_host(const IpAddress& address);

// Just before a deliberate clean close.
void clear_linger(int descriptor);
// Closes so that the other side reads a reset (TCP), whatever is queued.
void close_with_reset(Descriptor& descriptor);

// The pending error, which this takes away; 0 for none.
int take_socket_error(int descriptor);
// TCP: the other side reset the connection, or it timed out. What the kernel still holds for it
// goes nowhere, and counts on as unsent.
bool is_over(int descriptor);
// Bytes written that the other side's kernel has not acknowledged (SIOCOUTQ).
std::size_t unsent_bytes(int descriptor);
// Likewise of those that have not been sent even once (SIOCOUTQNSD).
std::size_t unsent_bytes_not_under_way(int descriptor);
// Smoothed round trip as the kernel measured it; zero if unknown.
Duration measured_round_trip(int descriptor);

// Whether more follows at once, a write or the end: the kernel then waits for it with a segment
// that is not full (MSG_MORE, send(2)).
enum class More : bool { no, yes };

// Like writev, without SIGPIPE; -1 and errno as usual.
ssize_t send_vector(int descriptor, std::span<const iovec> buffers, More more = More::no);

// "connection refused" and the like.
std::string error_text(int error);

// Raises RLIMIT_NOFILE to what is allowed; gives the limit.
std::size_t raise_descriptor_limit();

// Tells when descriptors run short, before there are none: what is left is for carriers, dialled or
// accepted. The kernel gives out the lowest free number, so a high one says how few are left.
class DescriptorBudget {
 public:
  // `awaited`: carriers that will come back, beside those of the reserve; outlives it.
  explicit DescriptorBudget(std::size_t limit, const std::atomic<int>* awaited = nullptr)
      : scarce_from_(static_cast<int>(std::min<std::size_t>(limit - reserve_of(limit), INT_MAX))),
        awaited_(awaited) {}
  // For whom the reserve is: nothing is scarce before the kernel says so.
  static DescriptorBudget everything() { return DescriptorBudget(SIZE_MAX); }
  static std::size_t reserve_of(std::size_t limit) { return std::min<std::size_t>(limit / 8, 64); }

  bool scarce(int descriptor) const {
    return descriptor >= scarce_from_ - (awaited_ != nullptr ? awaited_->load() : 0);
  }

 private:
  int scarce_from_;
  const std::atomic<int>* awaited_;
};

}  // namespace holdfast
