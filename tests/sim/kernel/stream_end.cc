#include "tests/sim/kernel/stream_end.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace holdfast::sim {

int StreamEnd::tell_error() {
  int error = std::exchange(error_, 0);
  if (error != 0) error_told(error);
  return error;
}

int StreamEnd::take_error() {
  return tell_error();
}

// What came before an error is still read (tcp_recvmsg).
ssize_t StreamEnd::receive(std::span<const iovec> into) {
  std::size_t left = unread();
  std::size_t total = 0;
  for (const iovec& each : into) {
    std::size_t size = std::min(left, each.iov_len);
    if (size == 0) break;
    take({static_cast<std::uint8_t*>(each.iov_base), size});
    left -= size;
    total += size;
  }
  if (total != 0) return static_cast<ssize_t>(total);
  if (int error = tell_error(); error != 0) {
    errno = error;
    return -1;
  }
  if (input_ended_ || reset_) {
    if (!reset_) end_told();
    return 0;
  }
  errno = EAGAIN;
  return -1;
}

ssize_t StreamEnd::send(std::span<const iovec> buffers) {
  if (int error = tell_error(); error != 0) {
    errno = error;
    return -1;
  }
  if (reset_ || shut_) {
    errno = EPIPE;
    return -1;
  }
  std::size_t wanted = 0;
  for (const iovec& each : buffers) wanted += each.iov_len;
  std::size_t left = std::min(room(), wanted);
  std::size_t total = 0;
  for (const iovec& each : buffers) {
    std::size_t size = std::min(left, each.iov_len);
    if (size != 0) put({static_cast<const std::uint8_t*>(each.iov_base), size});
    left -= size;
    total += size;
  }
  if (total < wanted) blocked_ = true;
  if (total != 0) all_put();
  if (total != 0 || wanted == 0) return static_cast<ssize_t>(total);
  errno = EAGAIN;
  return -1;
}

void StreamEnd::shut_down() {
  if (shut_ || reset_) return;
  shut_ = true;
  say_end();
  notify(EPOLLOUT);
}

// As tcp_poll().
std::uint32_t StreamEnd::readiness() const {
  std::uint32_t events = 0;
  if (reset_ || (shut_ && input_ended_)) events |= EPOLLHUP;
  if (reset_ || input_ended_) events |= EPOLLIN | EPOLLRDHUP;
  if (unread() != 0) events |= EPOLLIN;
  if (reset_ || shut_ || writable()) events |= EPOLLOUT;
  if (error_ != 0) events |= EPOLLERR;
  return events;
}

void StreamEnd::input_ended() {
  if (input_ended_ || reset_) return;
  input_ended_ = true;
  notify(EPOLLIN | EPOLLRDHUP | (shut_ ? static_cast<std::uint32_t>(EPOLLHUP) : 0U));
}

void StreamEnd::reset(int error) {
  if (reset_) return;
  reset_ = true;
  error_ = error;
  notify(EPOLLIN | EPOLLRDHUP | EPOLLOUT | EPOLLERR | EPOLLHUP);
}

void StreamEnd::room_came() {
  if (!blocked_ || !writable()) return;
  blocked_ = false;
  notify(EPOLLOUT);
}

}  // namespace holdfast::sim
