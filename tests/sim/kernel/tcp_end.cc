#include "tests/sim/kernel/tcp_end.h"

#include <linux/tcp.h>

#include <algorithm>
#include <cerrno>

#include "tests/sim/kernel/connection.h"

namespace holdfast::sim {
namespace {

constexpr std::uint8_t kEstablished = 1;  // TCP_ESTABLISHED

std::uint32_t milliseconds_since(Time now, Time then) {
  return static_cast<std::uint32_t>((now - then).count() / 1000);
}

}  // namespace

void TcpEnd::close(bool abort) {
  if (connection_ != nullptr) connection_->close(side_, abort && !broken());
}

// In CLOSE_WAIT it is EPIPE (tcp_reset()).
void TcpEnd::reset_came() {
  reset(input_over() ? EPIPE : ECONNRESET);
}

std::size_t TcpEnd::unread() const {
  return connection_->flow_to(side_).available();
}

std::size_t TcpEnd::unacknowledged() const {
  const Flow& out = connection_->flow_from(side_);
  return static_cast<std::size_t>(out.written() - std::min(out.acked(), out.written()));
}

std::size_t TcpEnd::unsent() const {
  const Flow& out = connection_->flow_from(side_);
  return static_cast<std::size_t>(out.written() - out.sent());
}

void TcpEnd::limit_unsent(std::size_t bytes) {
  connection_->flow_from(side_).limit_unsent(bytes);
}

void TcpEnd::describe(tcp_info& info) const {
  const Flow& out = connection_->flow_from(side_);
  const Flow& in = connection_->flow_to(side_);
  Time now = connection_->kernel().now();
  auto segment = static_cast<std::uint32_t>(out.segment());
  std::uint64_t flying = out.sent() - std::min(out.acked(), out.sent());
  info.tcpi_state = kEstablished;
  info.tcpi_snd_mss = info.tcpi_rcv_mss = info.tcpi_advmss = segment;
  info.tcpi_pmtu = segment + 52;
  Duration round_trip = std::max(2 * connection_->path().shape().delay, out.round_trip());
  info.tcpi_rtt = static_cast<std::uint32_t>(round_trip.count());
  info.tcpi_min_rtt = info.tcpi_rtt;
  info.tcpi_snd_cwnd = static_cast<std::uint32_t>(out.congestion_window()) / segment;
  info.tcpi_unacked = static_cast<std::uint32_t>((flying + segment - 1) / segment);
  info.tcpi_retransmits = static_cast<std::uint8_t>(flying == 0 ? 0 : out.backoff(now));
  info.tcpi_backoff = info.tcpi_retransmits;
  info.tcpi_total_retrans = out.retransmissions();
  info.tcpi_bytes_acked = out.acked();
  info.tcpi_bytes_received = in.arrived();
  info.tcpi_bytes_sent = out.sent();
  info.tcpi_delivered = static_cast<std::uint32_t>(out.acked() / segment);
  info.tcpi_notsent_bytes = static_cast<std::uint32_t>(unsent());
  info.tcpi_last_data_recv = milliseconds_since(now, in.last_arrival());
  info.tcpi_last_ack_recv = milliseconds_since(now, std::max(out.last_ack(), in.last_arrival()));
}

void TcpEnd::take(MutableBytes into) {
  connection_->flow_to(side_).read(into);
  connection_->read(side_);
}

std::size_t TcpEnd::room() const {
  return connection_->flow_from(side_).room();
}

void TcpEnd::put(Bytes bytes) {
  connection_->write(side_, bytes);
}

void TcpEnd::all_put() {
  connection_->wrote(side_);
}

bool TcpEnd::writable() const {
  return connection_->flow_from(side_).writable();
}

void TcpEnd::say_end() {
  connection_->say_end(side_);
}

}  // namespace holdfast::sim
