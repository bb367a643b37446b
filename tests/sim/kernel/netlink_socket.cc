#include "tests/sim/kernel/netlink_socket.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cerrno>
#include <cstring>

namespace holdfast::sim {

void NetlinkSocket::tell() {
  waiting_ += 1;
  notify(EPOLLIN);
}

ssize_t NetlinkSocket::read(MutableBytes buffer) {
  if (waiting_ == 0 || buffer.size() < NLMSG_LENGTH(0)) {
    errno = EAGAIN;
    return -1;
  }
  waiting_ -= 1;
  nlmsghdr message{};
  message.nlmsg_len = NLMSG_LENGTH(0);
  message.nlmsg_type = RTM_NEWADDR;
  std::memcpy(buffer.data(), &message, sizeof message);
  return NLMSG_LENGTH(0);
}

std::uint32_t NetlinkSocket::readiness() const {
  return waiting_ != 0 ? static_cast<std::uint32_t>(EPOLLIN) : 0U;
}

}  // namespace holdfast::sim
