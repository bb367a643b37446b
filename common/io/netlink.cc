#include "common/io/netlink.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

namespace holdfast {
namespace {

// A change is several messages: the address, its routes, the link.
constexpr Duration kSettle = milliseconds(100);

bool matters(std::uint16_t type) {
  switch (type) {
    case RTM_NEWADDR:
    case RTM_DELADDR:
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return true;
    default:
      return false;
  }
}

}  // namespace

NetworkWatcher::NetworkWatcher(Loop& loop, std::function<void()> changed)
    : loop_(loop),
      descriptor_(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE)),
      settle_(loop.timers(), std::move(changed)) {
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups =
      RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  if (!descriptor_.valid()) return;
  if (bind(descriptor_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    descriptor_.reset();
    return;
  }
  registration_.emplace(loop.poller(), descriptor_.get(), *this);
  registration_->set(EPOLLIN);
}

void NetworkWatcher::on_ready(std::uint32_t) {
  MutableBytes buffer = loop_.read_buffer();
  bool changed = false;
  while (true) {
    ssize_t size = recv(descriptor_.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == ENOBUFS) changed = true;  // some were lost: many changes
    if (size < 0 && (errno == EINTR || errno == ENOBUFS)) continue;
    if (size <= 0) break;
    auto left = static_cast<unsigned>(size);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      changed = changed || matters(message->nlmsg_type);
    }
  }
  if (changed && !settle_.armed()) settle_.arm(loop_.now() + kSettle);
}

}  // namespace holdfast
