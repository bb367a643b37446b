#include "common/tunnel/carrier.h"

#include <algorithm>
#include <cstdlib>

#include "common/core/tuning.h"

namespace holdfast {
namespace {

// A write that was taken in part while little waits in the kernel is tried again so soon.
constexpr Duration kRetry = milliseconds(2);
// In an outage nothing moves: no need to ask 500 times a second.
constexpr Duration kLastRetry = milliseconds(250);

// How often a carrier that is written to asks the kernel for its path's rate.
constexpr Duration kRateAsked = milliseconds(5);

// Reads that follow each other so closely are use, and its transport keeps its memory until there
// was none for that long. A heartbeat is no use.
constexpr Duration kUse = milliseconds(100);
constexpr Duration kRest = seconds(1);

}  // namespace

Carrier::Carrier(Loop& loop, CarrierId id, Descriptor descriptor, const TransportFactory& transport,
                 Owner& owner)
    : loop_(loop),
      id_(id),
      owner_(&owner),
      peer_(SocketAddress::peer_of(descriptor.get())),
      descriptor_(std::move(descriptor)),
      transport_(transport(descriptor_.get())),
      registration_(loop.poller(), descriptor_.get(), *this) {
  tune_carrier_socket(descriptor_.get());
  multipath_ = read_multipath(descriptor_.get());
}

Carrier::Carrier(Loop& loop, CarrierId id, Unbound unbound, Owner& owner)
    : loop_(loop),
      id_(id),
      owner_(&owner),
      peer_(unbound.peer),
      via_(unbound.via),
      state_(State::standing),
      descriptor_(std::move(unbound.descriptor)),
      transport_(std::move(unbound.transport)),
      registration_(loop.poller(), descriptor_.get(), *this) {
  multipath_ = read_multipath(descriptor_.get());
  watch();
  if (transport_->buffered()) registration_.kick();
}

void Carrier::start() {
  watch();
  shake_hands();
}

void Carrier::shake_hands() {
  Transport::Status status = transport_->handshake();
  if (status == Transport::Status::again) return watch();
  if (status != Transport::Status::done) return lost(status);
  state_ = State::standing;
  watch();
  if (transport_->buffered()) registration_.kick();
  owner_->carrier_standing(*this);
}

void Carrier::watch() {
  if (closed()) return;
  Transport::Wants wants = transport_->wants();
  bool write = wants.write || (blocked_ && !wants.read);
  registration_.set(EPOLLIN | (write ? static_cast<std::uint32_t>(EPOLLOUT) : 0U));
}

void Carrier::on_ready(std::uint32_t events) {
  if (state_ == State::handshaking) return shake_hands();
  constexpr std::uint32_t kInput = EPOLLIN | EPOLLHUP | EPOLLERR;
  Transport::Wants wants = transport_->wants();
  if ((events & kInput) != 0 || wants.write) read_available();
  if (closed()) return;
  if ((events & EPOLLOUT) != 0 || (wants.read && (events & EPOLLIN) != 0)) write_on();
}

void Carrier::write_on() {
  if (!blocked_ || closed()) return;
  blocked_ = false;
  if (finishing()) {
    write_farewell();
  } else {
    owner_->carrier_writable(*this);
  }
  watch();
}

// One read a turn: what is left waits until others have had theirs.
void Carrier::read_available() {
  if (state_ == State::standing && !owner_->carrier_readable(*this)) {
    if (!closed()) registration_.kick();
    return;
  }
  if (closed()) return;
  MutableBytes buffer = loop_.read_buffer().first(read_size_);
  Transport::Outcome outcome = transport_->read(buffer);
  if (outcome.status == Transport::Status::again) {
    if (!transport_->buffered()) return watch();
  } else if (outcome.status != Transport::Status::done) {
    return lost(outcome.status);
  } else if (state_ == State::standing) {
    note_use();
    owner_->carrier_bytes(*this, buffer.first(outcome.bytes));
  }
  if (!closed() && transport_->buffered()) registration_.kick();
}

void Carrier::note_use() {
  Time now = loop_.now();
  if (!rest_.armed() && now < used_at_ + kUse) {
    transport_->keep_memory(true);
    rest_.arm(now + kRest);
  }
  used_at_ = now;
}

void Carrier::note_rest() {
  if (loop_.now() < used_at_ + kRest) return rest_.arm(used_at_ + kRest);
  transport_->keep_memory(false);
}

bool Carrier::read_once() {
  if (state_ != State::standing) return true;
  MutableBytes buffer = loop_.read_buffer().first(read_size_);
  Transport::Outcome outcome = transport_->read(buffer);
  if (outcome.status == Transport::Status::again) {
    if (transport_->buffered()) registration_.kick();
    return false;
  }
  if (outcome.status != Transport::Status::done) {
    lost(outcome.status);
    return true;
  }
  owner_->carrier_bytes(*this, buffer.first(outcome.bytes));
  if (!closed() && transport_->buffered()) registration_.kick();
  return true;
}

std::optional<PathReport> Carrier::path() const {
  if (closed()) return std::nullopt;
  std::optional<PathReport> report = read_path(descriptor_.get());
  if (!report) return report;
  if (std::optional<Multipath> all = multipath()) {
    report->acked = all->acked - multipath_->acked;
    report->received = all->received - multipath_->received;
    report->queued = all->queued;
    if (all->subflows > 1) report->timeouts = 0;  // another path may do
  }
  report->queued += transport_->unsent();
  return report;
}

std::optional<Multipath> Carrier::multipath() const {
  if (closed() || !multipath_) return std::nullopt;
  return read_multipath(descriptor_.get());
}

std::optional<std::uint32_t> Carrier::subflows() const {
  std::optional<Multipath> all = multipath();
  return all ? std::optional(all->subflows) : std::nullopt;
}

std::size_t Carrier::room() {
  Time now = loop_.now();
  if (room_ != 0 && now < rate_asked_at_ + kRateAsked) return room_;
  rate_asked_at_ = now;
  std::optional<PathReport> report = path();
  if (!report) return room_ = tuning::kMaxGather;
  rate_.report(now, *report);
  room_ = rate_.may_wait(tuning::kMaxGather);
  int not_sent = static_cast<int>(std::min<std::size_t>(room_, kCarrierNotSent));
  if (std::abs(not_sent - not_sent_) * 4 <= not_sent_) return room_;
  not_sent_ = not_sent;
  set_not_sent(descriptor_.get(), not_sent);
  return room_;
}

std::size_t Carrier::write(std::span<const iovec> buffers) {
  HOLDFAST_CHECK(state_ == State::standing);
  std::size_t wanted = 0;
  for (const iovec& buffer : buffers) wanted += buffer.iov_len;
  Transport::Outcome outcome = transport_->write(buffers);
  if (outcome.status == Transport::Status::done || outcome.status == Transport::Status::again) {
    blocked_ = outcome.bytes < wanted;
    if (blocked_) try_again_soon(outcome.bytes != 0);
    watch();
    return outcome.bytes;
  }
  // What the peer sent before it went may still be unread: the read finds the end itself.
  blocked_ = true;
  registration_.kick();
  registration_.set(EPOLLIN);
  return 0;
}

// The kernel tells of room when a third of its buffer is free. On a long path that is lossy the
// buffer is full of what is under way, so it runs dry of what may be sent before it tells.
void Carrier::try_again_soon(bool progress) {
  auto runs_dry = static_cast<std::size_t>(not_sent_) / 2;
  std::size_t unsent = unsent_bytes_not_under_way(descriptor_.get());
  std::size_t spare = unsent - std::min(unsent, runs_dry);
  if (spare != 0 && rate_.quick()) return retry_.cancel();
  Duration least = std::max(kRetry, std::min(rate_.time_of(spare), kLastRetry));
  retry_after_ = progress ? least : std::clamp(retry_after_ * 2, least, kLastRetry);
  retry_.arm(loop_.now() + retry_after_);
}

void Carrier::finish_with(std::vector<std::uint8_t> bytes, Time deadline) {
  if (state_ != State::standing) return close();
  farewell_ = std::move(bytes);
  farewell_written_ = 0;
  finish(deadline);
}

void Carrier::finish(Time deadline) {
  if (state_ != State::standing) return;
  state_ = State::finishing;
  deadline_.arm(deadline);
  if (!blocked_) write_farewell();
}

void Carrier::write_farewell() {
  while (farewell_written_ < farewell_.size()) {
    iovec rest{farewell_.data() + farewell_written_, farewell_.size() - farewell_written_};
    Transport::Outcome outcome = transport_->write({&rest, 1});
    if (outcome.status == Transport::Status::again) {
      blocked_ = true;
      return watch();
    }
    if (outcome.status != Transport::Status::done) {
      blocked_ = true;  // the read finds the end
      return registration_.kick();
    }
    farewell_written_ += outcome.bytes;
  }
  if (!shut_down_) transport_->shut_down();
  shut_down_ = true;
  watch();
}

void Carrier::close() {
  if (closed()) return;
  registration_.leave();
  close_with_reset(descriptor_);
  shut();
}

Carrier::Unbound Carrier::unbind() {
  HOLDFAST_CHECK(state_ == State::standing && !blocked_);
  leave_loop();
  transport_->keep_memory(false);
  return {std::move(descriptor_), std::move(transport_), peer_, via_};
}

void Carrier::shut() {
  leave_loop();
  descriptor_.reset();
}

void Carrier::leave_loop() {
  state_ = State::closed;
  deadline_.cancel();
  retry_.cancel();
  rest_.cancel();
  registration_.leave();
}

void Carrier::lost(Transport::Status status) {
  switch (status) {
    case Transport::Status::end:
      // Within the handshake nobody's fault that is known: a scan, a dial that another one won.
      return lost(Cause::carrier_eof,
                  state_ == State::handshaking ? transport_->error() : "closed by the peer");
    case Transport::Status::failed:
      return lost(Cause::tls, transport_->error());
    default:
      return lost(Cause::carrier_reset,
                  transport_->error() + (state_ == State::handshaking ? " in the handshake" : ""));
  }
}

// By value: the words may be the transport's own, which shut() ends.
// cppcheck-suppress passedByValue
// NOLINTNEXTLINE(performance-unnecessary-value-param)
void Carrier::lost(Cause cause, std::string reason) {
  if (closed()) return;
  shut();
  owner_->carrier_lost(*this, cause, reason);
}

}  // namespace holdfast
