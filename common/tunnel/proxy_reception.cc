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
  registration_.set(EPOLLIN);
  deadline_.arm(loop.now() + patience);
}

void ProxyReception::on_ready(std::uint32_t) {
  read();
}

// Looks first and takes then: bytes behind the header are the application's. An incomplete header
// has no such bytes, so that all of it is taken, or the poller would tell of it again and again.
void ProxyReception::read() {
  std::array<std::uint8_t, kMaxProxyHeader> seen{};
  std::size_t had = header_.size();
  ssize_t size = recv(socket_.get(), seen.data(), seen.size() - had, MSG_PEEK);
  if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
  if (size < 0) return fail(error_text(errno));
  if (size == 0) return fail("it ended before its PROXY header did");
  auto arrived = static_cast<std::size_t>(size);
  header_.insert(header_.end(), seen.begin(), seen.begin() + size);
  std::visit(overloaded{
                 [&](const ProxyIncomplete&) {
                   if (!take(arrived)) fail("it cannot be read");
                 },
                 [&](const ProxyMalformed& malformed) { fail(malformed.reason); },
                 [&](const ProxyHeader& header) {
                   if (!take(header.size - had)) return fail("it cannot be read");
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
