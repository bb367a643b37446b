#include "common/io/listener.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/remedy.h"
#include "common/io/passed_sockets.h"
#include "common/io/socket_file.h"

namespace holdfast {
namespace {

// Connections taken in one turn: a flood of them must not hold up what lives (some 50 us each).
constexpr int kAcceptsPerTurn = 16;
// The kernel caps it at net.core.somaxconn.
constexpr int kBacklog = 4096;
constexpr Duration kDescriptorRetry = milliseconds(200);

// True when the path is a socket at which nobody answers.
bool stale_unix_socket(const SocketAddress& address, const std::string& path) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return false;
  Descriptor probe = make_socket(AF_UNIX);
  return probe.valid() && connect(probe.get(), address.get(), address.size()) != 0 &&
         errno == ECONNREFUSED;
}

int bind_socket(int descriptor, const SocketAddress& address, const std::string& path) {
  if (bind(descriptor, address.get(), address.size()) == 0) return 0;
  if (errno != EADDRINUSE || !address.is_unix()) return errno;
  if (!stale_unix_socket(address, path)) return EADDRINUSE;
  unlink(path.c_str());
  return bind(descriptor, address.get(), address.size()) == 0 ? 0 : errno;
}

// Bound and listening, or `error` says why not.
Descriptor bind_one(const SocketAddress& address, const std::string& path, Tune tune,
                    const BindOptions& options, int& error) {
  Descriptor descriptor =
      options.mptcp ? make_multipath_socket(address.family()) : make_socket(address.family());
  error = descriptor.valid() ? 0 : errno;
  if (error != 0) return {};
  int on = 1;
  if (!address.is_unix()) {
    (void)setsockopt(descriptor.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  }
  if (address.family() == AF_INET6) {
    (void)setsockopt(descriptor.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  // Who is taken from another path comes from anywhere.
  if (tune != nullptr) tune(descriptor.get(), options.transparent ? SocketAddress() : address);
  if (options.transparent) error = make_transparent(descriptor.get(), address.family());
  if (options.freebind && !address.is_unix()) {
    // For IPv6 as well (ip(7)).
    (void)setsockopt(descriptor.get(), SOL_IP, IP_FREEBIND, &on, sizeof on);
  }
  // The file gets the socket's mode: nobody may open it before its owner and group are right.
  if (address.is_unix() && options.access != SocketAccess{}) fchmod(descriptor.get(), 0600);
  if (error == 0) error = bind_socket(descriptor.get(), address, path);
  if (error == 0 && listen(descriptor.get(), kBacklog) != 0) error = errno;
  if (error != 0) return {};
  return descriptor;
}

Result<std::vector<SocketAddress>> addresses_of(const NetAddress& address,
                                                const std::vector<SocketAddress>& of_name) {
  if (const auto* unix_socket = std::get_if<UnixPath>(&address)) {
    auto one = SocketAddress::unix_path(unix_socket->path);
    if (!one) return Error{to_string(address) + ": the path is too long"};
    return std::vector<SocketAddress>{*one};
  }
  const auto& tcp = std::get<HostPort>(address);
  if (tcp.host == kEveryAddress) {
    return std::vector<SocketAddress>{*SocketAddress::literal({"0.0.0.0", tcp.port}),
                                      *SocketAddress::literal({"::", tcp.port})};
  }
  if (auto one = SocketAddress::literal(tcp)) return std::vector<SocketAddress>{*one};
  if (of_name.empty()) return Error{to_string(address) + ": the name is not resolved"};
  return of_name;
}

NetAddress ours(const NetListenAddress& address) {
  if (const auto* path = std::get_if<UnixPath>(&address)) return *path;
  return std::get<HostPort>(address);
}

// They listen already; the file of a Unix socket is the service manager's.
Result<std::vector<BoundSocket>> take_passed(const PassedSocket& passed, Tune tune) {
  auto taken = passed_sockets(passed.name, PassedKinds::tcp_and_unix);
  if (!taken) return Error{"cannot listen on " + to_string(passed) + ": " + taken.error().message};
  std::vector<BoundSocket> sockets;
  for (Descriptor& descriptor : *taken) {
    SocketAddress address = SocketAddress::own_of(descriptor.get());
    sockets.emplace_back(std::move(descriptor), address.to_string(), tune);
  }
  return sockets;
}

}  // namespace

BoundSocket::BoundSocket(Descriptor descriptor, std::string name, Tune tune)
    // cppcheck-suppress nullPointerRedundantCheck  ; copied here, called only if set
    : descriptor_(std::move(descriptor)), name_(std::move(name)), tune_(tune) {
  if (tune_ != nullptr) tune_(descriptor_.get(), SocketAddress::own_of(descriptor_.get()));
}

BoundSocket::~BoundSocket() {
  if (descriptor_.valid() && !unix_path_.empty()) unlink(unix_path_.c_str());
}

Descriptor BoundSocket::accept() const {
  Descriptor socket(accept4(descriptor_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (socket.valid() && tune_ != nullptr) {
    tune_(socket.get(), SocketAddress::own_of(socket.get()));
  }
  return socket;
}

Result<std::vector<BoundSocket>> bind_sockets(const NetListenAddress& listen_address, Tune tune,
                                              const BindOptions& options) {
  if (const auto* passed = std::get_if<PassedSocket>(&listen_address)) {
    return take_passed(*passed, tune);
  }
  NetAddress address = ours(listen_address);
  auto addresses = addresses_of(address, options.of_name);
  if (!addresses) return addresses.error();
  const auto* unix_socket = std::get_if<UnixPath>(&address);
  std::string path = unix_socket != nullptr ? unix_socket->path : "";
  std::vector<BoundSocket> sockets;
  int first_error = 0;
  for (const SocketAddress& one : *addresses) {
    int error = 0;
    Descriptor socket;
    if (options.inherited != nullptr) socket = options.inherited->take(one, options.transparent);
    if (!socket.valid()) socket = bind_one(one, path, tune, options, error);
    if (socket.valid()) sockets.emplace_back(std::move(socket), to_string(address), path);
    if (error != 0 && (first_error == 0 || error == EADDRINUSE)) first_error = error;
  }
  // A name may have an address of a family that this host lacks.
  if (sockets.empty() || first_error == EADDRINUSE) {
    std::string remedy =
        unix_socket != nullptr ? unix_listen_remedy(first_error) : tcp_listen_remedy(first_error);
    if (options.transparent && first_error == EPERM) {
      remedy = "; transparent listening needs AmbientCapabilities=CAP_NET_RAW";
    }
    return Error{"cannot listen on " + to_string(address) + ": " + error_text(first_error) +
                 remedy};
  }
  if (unix_socket != nullptr && options.access != SocketAccess{}) {
    if (Status given = set_socket_access(path, options.access); !given) {
      return Error{"cannot listen on " + to_string(address) + ": " + given.error().message};
    }
  }
  return sockets;
}

Listener::Listener(Loop& loop, BoundSocket socket, std::size_t tag, const DescriptorBudget& budget,
                   Handler& handler, ListenerObserver& observer)
    : loop_(loop),
      socket_(std::move(socket)),
      tag_(tag),
      budget_(budget),
      handler_(handler),
      observer_(observer),
      registration_(loop.poller(), socket_.descriptor(), *this),
      retry_(loop.timers(), [this] { resume(); }) {
  registration_.set_patient(true);
  registration_.set(EPOLLIN);
}

void Listener::on_ready(std::uint32_t) {
  accept_some();
}

void Listener::accept_some() {
  for (int accepts = 0; accepts < kAcceptsPerTurn && state_ == State::accepting; ++accepts) {
    Descriptor socket = socket_.accept();
    if (!socket.valid()) {
      if (errno == ECONNABORTED || errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) return;
      return pause(State::out_of_descriptors, error_text(errno));
    }
    bool scarce = budget_.scarce(socket.get());
    if (!offer(socket)) return;
    if (scarce) pause(State::out_of_descriptors, "few descriptors are left");
  }
}

void Listener::adopt(Descriptor& socket) {
  if (state_ == State::accepting) (void)offer(socket);
}

void Listener::accept_rest() {
  for (int accepts = 0; accepts < kBacklog && state_ == State::accepting; ++accepts) {
    Descriptor socket = socket_.accept();
    if (!socket.valid()) return;
    handler_.accepted(*this, socket, SocketAddress::peer_of(socket.get()));
  }
}

bool Listener::offer(Descriptor& socket) {
  handler_.accepted(*this, socket, SocketAddress::peer_of(socket.get()));
  if (!socket.valid()) return true;
  held_ = std::move(socket);
  pause(State::full, "the limit of connections is reached");
  return false;
}

void Listener::pause(State state, const std::string& reason) {
  if (!told_) observer_.listener_paused(name(), reason);
  told_ = true;
  state_ = state;
  registration_.leave();
  if (state == State::out_of_descriptors) retry_.arm(loop_.now() + kDescriptorRetry);
}

void Listener::resume() {
  if (state_ == State::accepting) return;
  if (state_ == State::out_of_descriptors && !descriptors_free()) {
    return retry_.arm(loop_.now() + kDescriptorRetry);
  }
  retry_.cancel();
  if (held_.valid()) {
    Descriptor socket = std::move(held_);
    handler_.accepted(*this, socket, SocketAddress::peer_of(socket.get()));
    if (socket.valid()) {
      held_ = std::move(socket);
      return;
    }
  }
  state_ = State::accepting;
  registration_.set(EPOLLIN);
  accept_some();
  if (state_ != State::accepting) return;
  told_ = false;
  observer_.listener_resumed(name());
}

bool Listener::descriptors_free() const {
  Descriptor probe(fcntl(socket_.descriptor(), F_DUPFD_CLOEXEC, 0));
  return probe.valid() && !budget_.scarce(probe.get());
}

}  // namespace holdfast
