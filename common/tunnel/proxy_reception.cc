#include "common/tunnel/proxy_reception.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "common/base/overloaded.h"

namespace holdfast {

bool is_balancer(const std::vector<Network>& balancers, const Endpoint& source) {
  auto address = ip_of(source);
  return address && std::any_of(balancers.begin(), balancers.end(),
                                [&](const Network& each) { return each.contains(*address); });
}

ProxyReception::ProxyReception(Loop& loop, Descriptor socket, Duration patience, Callback callback)
    : socket_(std::move(socket)),
      callback_(std::move(callback)),
      registration_(loop.poller(), socket_.get(), *this),
      deadline_(loop.timers(), [this] { fail("no PROXY header came in time"); }) {
  // Told once of what comes: what is looked at stays there.
  registration_.set(EPOLLIN | EPOLLRDHUP | EPOLLET);
  deadline_.arm(loop.now() + patience);
}

void ProxyReception::on_ready(std::uint32_t events) {
  read((events & (EPOLLRDHUP | EPOLLHUP)) != 0);
}

// Only looks, until the header is whole: bytes behind it are the application's, and a process that
// dies before leaves all of it in the socket, for the next one.
void ProxyReception::read(bool ended) {
  header_.resize(kMaxProxyHeader);
  ssize_t size = recv(socket_.get(), header_.data(), header_.size(), MSG_PEEK);
  int error = errno;
  header_.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  if (size < 0 && (error == EAGAIN || error == EWOULDBLOCK || error == EINTR)) return;
  if (size < 0) return fail(error_text(error));
  std::visit(overloaded{
                 [&](const ProxyIncomplete&) {
                   if (ended || size == 0) fail("it ended before its PROXY header did");
                 },
                 [&](const ProxyMalformed& malformed) { fail(malformed.reason); },
                 [&](const ProxyHeader& header) {
                   if (!take(header.size)) return fail("it cannot be read");
                   done(header);
                 },
             },
             parse_proxy_header(header_));
}

bool ProxyReception::take(std::size_t size) {
  std::array<std::uint8_t, kMaxProxyHeader> taken{};
  return recv(socket_.get(), taken.data(), size, 0) == static_cast<ssize_t>(size);
}

void ProxyReception::done(const ProxyHeader& header) {
  Outcome outcome;
  outcome.source = SocketAddress::peer_of(socket_.get()).endpoint();
  outcome.on_behalf = header.on_behalf;
  outcome.header_size = header.size;
  if (header.on_behalf) {
    outcome.source = header.source;
    outcome.destination = header.destination;
  }
  outcome.socket = std::move(socket_);
  finish(std::move(outcome));
}

void ProxyReception::fail(const std::string& reason) {
  close_with_reset(socket_);
  Outcome outcome;
  outcome.reason = reason;
  outcome.seen = std::move(header_);
  finish(std::move(outcome));
}

void ProxyReception::finish(Outcome outcome) {
  registration_.leave();
  deadline_.cancel();
  Callback told = std::move(callback_);
  told(std::move(outcome));  // may destroy this
}

}  // namespace holdfast
