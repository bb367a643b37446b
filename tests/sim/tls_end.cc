#include "tests/sim/tls_end.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tests/sim/world.h"

namespace holdfast::sim {
namespace {

// As the agents': how long the peer has for ending a carrier that we have ended.
constexpr Duration kFinishPatience = milliseconds(300);

}  // namespace

TlsEnd::TlsEnd(World& world, Carrier& carrier, int side,
               const std::function<std::unique_ptr<Transport>(int)>& make)
    : world_(world), carrier_(carrier), side_(side), transport_(make(descriptor())) {}

TlsEnd::~TlsEnd() = default;

void TlsEnd::fail(const std::string& what) const {
  std::string error = transport_ ? transport_->error() : "";
  throw Failure("carrier " + std::to_string(carrier_.id.value) +
                (side_ == 0 ? " at the client: " : " at the server: ") + what +
                (error.empty() ? "" : ": " + error));
}

// --- The transport's system calls --------------------------------------------------------------

ssize_t TlsEnd::receive(MutableBytes buffer) {
  std::size_t most = 1 + world_.random().below(world_.options().read_chunk);
  Bytes bytes = in().readable(world_.now(), std::min(most, buffer.size()));
  if (bytes.empty()) {
    Pipe::End end = in().ended(world_.now());
    if (end == Pipe::End::eof) return 0;
    errno = end == Pipe::End::reset ? ECONNRESET : EAGAIN;
    return -1;
  }
  std::size_t size = bytes.size();
  std::memcpy(buffer.data(), bytes.data(), size);
  world_.consume(carrier_, side_, size);
  return static_cast<ssize_t>(size);
}

ssize_t TlsEnd::send(std::span<const iovec> buffers) {
  if (in().reset_arrived(world_.now())) {
    errno = ECONNRESET;
    return -1;
  }
  std::size_t total = 0;
  for (const iovec& buffer : buffers) {
    Bytes bytes(static_cast<const std::uint8_t*>(buffer.iov_base), buffer.iov_len);
    std::size_t size = world_.send(carrier_, side_, bytes);
    total += size;
    if (size < bytes.size()) break;
  }
  sent_ += total;
  if (total != 0) return static_cast<ssize_t>(total);
  errno = EAGAIN;
  return -1;
}

void TlsEnd::shut_down() {
  require(state_ == State::finishing, "shut down by nobody");
  out().end(Pipe::End::eof, out().written(), world_.now() + world_.options().latency);
  world_.watch(carrier_, 1 - side_);
}

// --- What a poller would say -------------------------------------------------------------------

bool TlsEnd::readable() const {
  return !in().readable(world_.now(), 1).empty() || in().ended(world_.now()) != Pipe::End::none;
}

bool TlsEnd::awake() const {
  return readable() || transport_->buffered() || (transport_->wants().write && !out().full());
}

// --- The agents' side ----------------------------------------------------------------------------

Handshake TlsEnd::shake_hands() {
  if (state_ != State::handshaking) return Handshake::done;
  if (begun_ && !awake()) return Handshake::running;
  begun_ = true;
  Transport::Status status = transport_->handshake();
  if (status == Transport::Status::again) return Handshake::running;
  if (status != Transport::Status::done) {
    require(in().closed() || carrier_.ghost, "the handshake failed");
    world_.totals().handshakes_lost += 1;
    return Handshake::failed;
  }
  require(!carrier_.ghost, "a replayed handshake was accepted");
  state_ = State::standing;
  if (side_ == 0) world_.totals().handshakes += 1;
  mark();
  return Handshake::done;
}

bool TlsEnd::read(std::vector<std::uint8_t>& into) {
  if (state_ == State::closed || ended_ != Pipe::End::none || !awake()) return false;
  MutableBytes buffer = world_.read_buffer();
  buffer = buffer.first(1 + world_.random().below(buffer.size()));
  Transport::Outcome outcome = transport_->read(buffer);
  mark();
  switch (outcome.status) {
    case Transport::Status::done:
      require(outcome.bytes != 0 && outcome.bytes <= buffer.size(), "a read of nothing");
      into.assign(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(outcome.bytes));
      read_ += outcome.bytes;
      if (!transport_->buffered()) check_delivered("left");
      return true;
    case Transport::Status::again:
      if (!transport_->buffered()) check_delivered("left");
      return false;
    case Transport::Status::end:
      ended_ = Pipe::End::eof;
      break;
    case Transport::Status::reset:
      ended_ = Pipe::End::reset;
      break;
    case Transport::Status::failed:
      fail("a read failed");
  }
  require(in().closed() && in().read() == in().written(), "an end that the path did not make");
  check_delivered("lost at the end");
  return false;
}

std::size_t TlsEnd::write(std::span<const iovec> buffers) {
  if (broken_) return 0;
  Transport::Outcome outcome = transport_->write(buffers);
  if (outcome.status == Transport::Status::done) {
    written_ += outcome.bytes;
    mark();
    return outcome.bytes;
  }
  if (outcome.status == Transport::Status::again) return 0;
  require(outcome.status == Transport::Status::reset && in().closed(), "a write failed");
  broken_ = true;
  world_.look_at_carrier(carrier_, side_, world_.now());
  return 0;
}

bool TlsEnd::finish() {
  if (state_ != State::standing) return false;
  state_ = State::finishing;
  deadline_ = world_.now() + kFinishPatience;
  world_.look_at_carrier(carrier_, side_, deadline_);
  transport_->shut_down();
  return true;
}

bool TlsEnd::finish_more() {
  std::vector<std::uint8_t> unwanted;
  while (read(unwanted)) {
  }
  return ended_ != Pipe::End::none || world_.now() >= deadline_;
}

void TlsEnd::close() {
  state_ = State::closed;
  transport_.reset();
}

// --- The judge -----------------------------------------------------------------------------------

void TlsEnd::mark() {
  if (transport_->wants().write) return;
  if (!marks_.empty() && marks_.back().sent == sent_) marks_.pop_back();
  marks_.push_back({sent_, written_});
  // Of those that the peer has read behind, the last one says it all.
  std::uint64_t read = out().read();
  while (marks_.size() > 1 && marks_[1].sent <= read) marks_.pop_front();
}

void TlsEnd::check_delivered(const char* when) const {
  const TlsEnd* peer = carrier_.ends[1 - side_].get();
  if (peer == nullptr) return;
  require(read_ <= peer->written_, "bytes that nobody wrote");
  std::uint64_t whole = 0;
  for (const Mark& mark : peer->marks_) {
    if (mark.sent > in().read()) break;
    whole = mark.written;
  }
  if (read_ >= whole) return;
  fail(std::to_string(whole - read_) + " bytes that arrived whole are " + when +
       " in the transport");
}

}  // namespace holdfast::sim
