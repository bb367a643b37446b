#include "tests/sim/kernel/socket.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "tests/sim/kernel/kernel.h"
#include "tests/sim/kernel/process.h"

namespace holdfast::sim {
namespace {

int failed(int error) {
  errno = error;
  return -1;
}

}  // namespace

Socket::~Socket() {
  process_.kernel().socket_gone(*this);
  if (end_ != nullptr) {
    end_->attach(nullptr);
    end_->close(abort_);
  }
  for (Waiting& each : waiting_) each.end->close(true);
}

int Socket::bind(const Address& address) {
  own_ = address;
  return 0;
}

int Socket::listen() {
  if (!process_.kernel().listen(own_, *this)) return failed(EADDRINUSE);
  state_ = State::listening;
  return 0;
}

int Socket::connect(const Address& address) {
  switch (state_) {
    case State::fresh:
      state_ = State::connecting;
      peer_ = address;
      if (own_.host == 0) own_ = {process_.host(), process_.kernel().next_port()};
      process_.kernel().network().connect(*this, address);
      return failed(EINPROGRESS);
    case State::connecting:
      return failed(EALREADY);
    case State::connected:
      return std::exchange(success_told_, true) ? failed(EISCONN) : 0;
    case State::failed: {
      int error = std::exchange(error_, 0);
      return failed(error != 0 ? error : ECONNABORTED);
    }
    case State::listening:
      break;
  }
  return failed(EINVAL);
}

void Socket::connected(std::unique_ptr<StreamEnd> end) {
  state_ = State::connected;
  end_ = std::move(end);
  end_->attach(this);
  if (unsent_most_ != 0) end_->limit_unsent(unsent_most_);
  notify(EPOLLOUT);
}

void Socket::connect_failed(int error) {
  state_ = State::failed;
  error_ = error;
  notify(EPOLLOUT | EPOLLIN | EPOLLERR | EPOLLHUP);
}

void Socket::queue(std::unique_ptr<StreamEnd> end, const Address& peer) {
  waiting_.push_back({std::move(end), peer});
  notify(EPOLLIN);
}

int Socket::accept() {
  if (state_ != State::listening) return failed(EINVAL);
  if (waiting_.empty()) return failed(EAGAIN);
  auto socket = std::make_unique<Socket>(process_);
  Socket& made = *socket;
  int descriptor = process_.add(std::move(socket));
  if (descriptor < 0) return -1;
  made.own_ = own_;
  made.peer_ = waiting_.front().peer;
  made.abort_ = abort_;
  made.success_told_ = true;
  made.unsent_most_ = unsent_most_;
  made.connected(std::move(waiting_.front().end));
  waiting_.pop_front();
  return descriptor;
}

ssize_t Socket::receive(std::span<const iovec> into) {
  if (end_ == nullptr) return failed(ENOTCONN);
  return end_->receive(into);
}

ssize_t Socket::send(std::span<const iovec> buffers) {
  if (end_ == nullptr) return failed(EPIPE);
  return end_->send(buffers);
}

int Socket::shut_down() {
  if (end_ == nullptr) return failed(ENOTCONN);
  end_->shut_down();
  return 0;
}

// As tcp_poll(); a socket that never connected is hung up.
std::uint32_t Socket::readiness() const {
  switch (state_) {
    case State::listening:
      return waiting_.empty() ? 0U : static_cast<std::uint32_t>(EPOLLIN);
    case State::connecting:
      return 0;
    case State::connected:
      return end_->readiness();
    case State::failed:
      return EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLRDHUP |
             (error_ != 0 ? static_cast<std::uint32_t>(EPOLLERR) : 0U);
    case State::fresh:
      break;
  }
  return EPOLLOUT | EPOLLHUP;
}

int Socket::set_option(int level, int name, const void* value, socklen_t size) {
  if (level == SOL_SOCKET && name == SO_LINGER && size >= sizeof(linger)) {
    linger wanted{};
    std::memcpy(&wanted, value, sizeof wanted);
    abort_ = wanted.l_onoff != 0 && wanted.l_linger == 0;
  }
  if (level != IPPROTO_TCP || size < sizeof(std::uint32_t)) return 0;
  std::uint32_t number = 0;
  std::memcpy(&number, value, sizeof number);
  if (name == TCP_MAXSEG) max_segment_ = number;
  if (name == TCP_NOTSENT_LOWAT) {
    unsent_most_ = number;
    if (end_ != nullptr) end_->limit_unsent(number);
  }
  return 0;
}

int Socket::get_option(int level, int name, void* value, socklen_t* size) {
  if (level == SOL_SOCKET && name == SO_ERROR) {
    int error = end_ != nullptr ? end_->take_error() : std::exchange(error_, 0);
    std::memcpy(value, &error, sizeof error);
    return 0;
  }
  if (level == IPPROTO_TCP && name == TCP_INFO && end_ != nullptr) {
    tcp_info info{};
    end_->describe(info);
    std::memcpy(value, &info, std::min<std::size_t>(*size, sizeof info));
    *size = std::min<socklen_t>(*size, sizeof info);
    return 0;
  }
  return failed(ENOPROTOOPT);
}

int Socket::control(unsigned long request, int* value) const {
  if (end_ == nullptr) return failed(EINVAL);
  std::size_t bytes = 0;
  switch (request) {
    case SIOCINQ:
      bytes = end_->unread();
      break;
    case SIOCOUTQ:
      bytes = end_->unacknowledged();
      break;
    case SIOCOUTQNSD:
      bytes = end_->unsent();
      break;
    default:
      return failed(ENOTTY);
  }
  *value = static_cast<int>(bytes);
  return 0;
}

}  // namespace holdfast::sim
