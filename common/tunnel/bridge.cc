#include "common/tunnel/bridge.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

#include "common/state/socket_counters.h"
#include "common/tunnel/patience.h"
#include "common/tunnel/under_way.h"

namespace holdfast {
namespace {

// Buffers of one read or write: 256 KiB in blocks, one more at each end.
constexpr std::size_t kMaxBuffers = 66;
// Bytes of one read: room for twice what the last one brought. Each block of it costs something,
// and most requests and answers are small.
constexpr std::size_t kLeastRead = 4 * kKiB;
constexpr std::size_t kReadSize = 64 * kKiB;
// Gathers that one readable socket may take in a turn.
constexpr int kMaxWrites = 8;

// Before the link's goodbye; what an application wrote beyond it is not waited for.
constexpr std::size_t kLastRead = 1 * kMiB;

// Before a reset the kernel is given this long without any progress to send what it holds.
constexpr Duration kFlushPatience = seconds(5);
constexpr Duration kFirstLook = milliseconds(1);
constexpr Duration kLastLook = milliseconds(50);

using Buffers = std::array<iovec, kMaxBuffers>;

std::size_t total(std::span<const iovec> buffers) {
  std::size_t size = 0;
  for (const iovec& buffer : buffers) size += buffer.iov_len;
  return size;
}

ssize_t read_vector(int descriptor, std::span<iovec> buffers) {
  ssize_t size = 0;
  do {
    // The kernel has less to look at.
    size = buffers.size() == 1
               ? recv(descriptor, buffers[0].iov_base, buffers[0].iov_len, 0)
               : readv(descriptor, buffers.data(), static_cast<int>(buffers.size()));
  } while (size < 0 && errno == EINTR);
  return size;
}

bool would_block(int error) {
  return error == EAGAIN || error == EWOULDBLOCK;
}

// What the kernel says of a connection whose other host does not answer (keepalive, or what was
// sent), or of which a router said that it is not there.
bool is_host_gone(int error) {
  return error == ETIMEDOUT || error == EHOSTUNREACH || error == ENETUNREACH || error == EHOSTDOWN;
}

}  // namespace

Bridge::Bridge(Loop& loop, Link& link, Owner& owner, StreamHandle stream, ApplicationSocket socket)
    : loop_(loop),
      link_(&link),
      owner_(&owner),
      stream_(stream),
      is_unix_(socket.is_unix),
      read_size_(kLeastRead),
      socket_(std::move(socket.descriptor)),
      read_before_(socket.read_before),
      written_before_(socket.written_before),
      registration_(loop.poller(), socket_.get(), *this) {
  if (is_unix_) count_unix(socket_.get());
  attach();
}

// A record never names a descriptor that is another's.
Bridge::~Bridge() {
  if (!closed()) close(Ending::by_reset);
}

void Bridge::attach() {
  link_->attach(stream_, {socket_.get(), read_before_, written_before_});
}

void Bridge::move(Link& link, Owner& owner, StreamHandle stream) {
  link_ = &link;
  owner_ = &owner;
  stream_ = stream;
}

void Bridge::start() {
  watch();
  write_queued();
}

void Bridge::go_on(const RecoveredStream& stream) {
  using Fate = RecoveredStream::Socket;
  if (stream.end_read) input_ = Input::ended;
  switch (stream.socket) {
    case Fate::resets:
      return close(Ending::by_reset);
    case Fate::closes:
      return close(Ending::in_order);
    case Fate::aborts:
      return latch(ECONNRESET);
    case Fate::aborts_after_fin:
      return latch(EPIPE);
    case Fate::shuts_down:
      writing_ = Writing::shut;
      shutdown(socket_.get(), SHUT_WR);
      break;
    case Fate::goes_on:
    case Fate::connects:
    case Fate::none:
      break;
  }
  watch();
}

void Bridge::watch() {
  if (closed()) return;
  if (input_ == Input::reading_rest || input_ == Input::told || flush_) {
    return registration_.leave();  // the error stands: it would be told again and again
  }
  std::uint32_t events = 0;
  if (input_ == Input::running) events |= Poller::Registration::kRead;
  if (writing_ == Writing::blocked) events |= Poller::Registration::kWrite;
  registration_.set(events != 0 ? events : Poller::Registration::kOnlyErrors);
}

void Bridge::on_ready(std::uint32_t events) {
  if ((events & EPOLLERR) != 0) {
    int error = take_socket_error(socket_.get());
    if (error != 0) return latch(error);
  }
  constexpr std::uint32_t kInput = EPOLLIN | EPOLLRDHUP | EPOLLHUP;
  if ((events & kInput) != 0 && input_ == Input::running) {
    // An end that is here already goes out with the bytes before it.
    bool end = (events & (EPOLLRDHUP | EPOLLHUP)) != 0;
    read_some(owner_->read_budget(), end ? Until::nothing_left : Until::short_read);
  }
  if (closed() || writing_ != Writing::blocked) return;
  if ((events & (EPOLLOUT | EPOLLHUP)) != 0) write_queued();
}

// --- From the application -------------------------------------------------------------------

// As read(2); what came is committed, and an error latched.
ssize_t Bridge::read_now(std::span<iovec> buffers) {
  UnderWay call(*link_, stream_, Intent::Operation::read);
  ssize_t size = read_vector(socket_.get(), buffers);
  int error = errno;
  if (size < 0 && !would_block(error)) link_->latch(stream_);
  link_->commit(loop_.now(), stream_, size > 0 ? static_cast<std::size_t>(size) : 0);
  if (is_unix_ && size > 0) counted_ += static_cast<std::size_t>(size);
  errno = error;
  return size;
}

// Its kernel counts a Unix socket's bytes up to a bound.
void Bridge::count_anew() {
  if (!is_unix_ || counted_ < kUnixCount / 2) return;
  count_unix(socket_.get());
  read_before_ -= counted_;
  counted_ = 0;
  attach();
}

void Bridge::read_some(std::size_t budget, Until until) {
  owner_->stream_read();
  owner_->link_touched();
  while (budget > 0) {
    Buffers buffers;
    std::size_t count = link_->prepare(stream_, std::min(budget, read_size_), buffers);
    if (count == 0) {
      input_ = Input::paused;
      return watch();
    }
    std::size_t room = total({buffers.data(), count});
    ssize_t size = read_now({buffers.data(), count});
    int error = errno;
    count_anew();
    if (size == 0) return read_ended();
    if (size < 0) return would_block(error) ? void() : latch(error);
    auto taken = static_cast<std::size_t>(size);
    read_size_ = taken < room ? std::clamp(2 * taken, kLeastRead, kReadSize) : kReadSize;
    // The kernel has no more now; of an end behind it the poller will tell.
    if (taken < room && until == Until::short_read) return;
    budget -= std::min(budget, taken);
  }
}

void Bridge::read_last() {
  if (!closed() && input_ == Input::running) read_some(kLastRead, Until::nothing_left);
}

void Bridge::read_first() {
  if (!closed() && input_ == Input::running) {
    read_some(owner_->read_budget(), Until::nothing_left);
  }
}

void Bridge::read_ended() {
  input_ = Input::ended;
  link_->finish(loop_.now(), stream_);
  if (over()) return close(Ending::in_order);
  watch();
}

void Bridge::resume_reading() {
  if (input_ == Input::reading_rest) return read_rest();
  if (input_ != Input::paused || closed()) return;
  input_ = Input::running;
  watch();
}

// --- Errors ---------------------------------------------------------------------------------

void Bridge::latch(int error) {
  if (closed() || error_ != 0) return;
  error_ = error;
  link_->latch(stream_);
  owner_->link_touched();
  if (input_ == Input::ended) return tell_error();
  input_ = Input::reading_rest;
  watch();
  discard_queued();
  read_rest();
}

// Nobody reads it any more. The peer's application may have reset as well: while its bytes kept
// their credit, neither of the two would have room for the rest before its reset, ever.
void Bridge::discard_queued() {
  Buffers buffers;
  while (std::size_t count = link_->queued(stream_, buffers)) {
    link_->delivered(loop_.now(), stream_, total({buffers.data(), count}));
  }
}

// What arrived before the error still belongs to the stream.
void Bridge::read_rest() {
  owner_->link_touched();
  while (true) {
    Buffers buffers;
    std::size_t count = link_->prepare(stream_, kReadSize, buffers);
    if (count == 0) {
      auto summary = link_->find_stream(loop_.now(), stream_.id, nullptr);
      // Without the peer's ABORT there will be room again: resume_reading() goes on then.
      if (summary && !has_abort(summary->peer_end)) return;
      return tell_error();
    }
    if (read_now({buffers.data(), count}) <= 0) return tell_error();
  }
}

void Bridge::tell_error() {
  bool after_fin = error_ == EPIPE && input_ != Input::ended;
  input_ = Input::told;
  if (after_fin) link_->finish(loop_.now(), stream_);
  if (is_host_gone(error_)) {
    link_->vanish(loop_.now(), stream_);
  } else {
    link_->abort(loop_.now(), stream_);
  }
  reset();
}

// --- To the application ---------------------------------------------------------------------

// How many bytes the kernel took, which are delivered; an error is latched and 0 is given.
std::size_t Bridge::write_now(std::span<const iovec> buffers, More more) {
  int error = 0;
  {
    UnderWay call(*link_, stream_, Intent::Operation::write);
    ssize_t size = send_vector(socket_.get(), buffers, more);
    if (size >= 0) {
      link_->delivered(loop_.now(), stream_, static_cast<std::size_t>(size));
      return static_cast<std::size_t>(size);
    }
    error = errno;
    if (!would_block(error)) link_->latch(stream_);
  }
  if (!would_block(error)) latch(error);
  return 0;
}

void Bridge::deliver(Bytes bytes, bool last) {
  if (closed() || writing_ == Writing::shut) return;
  if (error_ != 0) {
    link_->delivered(loop_.now(), stream_, bytes.size());
    return owner_->link_touched();
  }
  iovec buffer{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  std::size_t taken = write_now({&buffer, 1}, last ? More::yes : More::no);
  if (closed() || error_ != 0) return;
  owner_->link_touched();
  if (taken == bytes.size()) return;
  writing_ = Writing::blocked;
  watch();
}

void Bridge::write_queued() {
  for (int writes = 0; writes < kMaxWrites; ++writes) {
    Buffers buffers;
    std::size_t count = link_->queued(stream_, buffers);
    std::size_t wanted = total({buffers.data(), count});
    std::size_t taken = count == 0 ? 0 : write_now({buffers.data(), count});
    if (closed() || error_ != 0) return;
    if (taken != 0) owner_->link_touched();
    if (writing_ == Writing::shut) return;
    writing_ = count == 0 ? Writing::open : Writing::blocked;
    if (count == 0 || taken < wanted) break;
  }
  watch();
}

void Bridge::deliver_fin() {
  if (closed() || error_ != 0) return;
  writing_ = Writing::shut;
  link_->fin_delivered(loop_.now(), stream_);
  owner_->link_touched();
  if (over()) return close(Ending::in_order);  // which says FIN too
  shutdown(socket_.get(), SHUT_WR);
  watch();
}

// --- Ends -----------------------------------------------------------------------------------

bool Bridge::over() const {
  return input_ == Input::ended && writing_ == Writing::shut;
}

// The record names it no more before its number may become another's.
void Bridge::close(Ending ending) {
  registration_.leave();
  flush_.reset();
  UnderWay call(*link_, stream_, Intent::Operation::close);
  if (ending == Ending::in_order) clear_linger(socket_.get());
  link_->detach(stream_, socket_.get());
  if (ending == Ending::in_order || is_unix_) {
    socket_.reset();
  } else {
    close_with_reset(socket_);
  }
}

void Bridge::reset() {
  if (!closed()) close(Ending::by_reset);
}

void Bridge::set_keepalive(Duration within) {
  if (!closed() && !is_unix_) holdfast::set_keepalive(socket_.get(), within);
}

bool Bridge::has_vanished(Duration within) const {
  bool asked = !closed() && !is_unix_ && error_ == 0 && !flush_;
  return asked && holdfast::has_vanished(socket_.get(), within);
}

void Bridge::vanish() {
  latch(ETIMEDOUT);
}

void Bridge::deliver_abort() {
  if (closed()) {
    link_->abort_delivered(loop_.now(), stream_);
    return owner_->link_touched();
  }
  flush_ = std::make_unique<Flush>(loop_.timers(), [this] { check_flush(); });
  flush_->unsent = unsent_bytes(socket_.get());
  flush_->progress_at = loop_.now();
  flush_->interval = kFirstLook;
  watch();
  check_flush();
}

// A reset would throw away what the kernel still holds.
void Bridge::check_flush() {
  std::size_t unsent = is_unix_ || is_over(socket_.get()) ? 0 : unsent_bytes(socket_.get());
  Time now = loop_.now();
  if (unsent < flush_->unsent) flush_->progress_at = now;
  flush_->unsent = unsent;
  if (unsent != 0 && now < flush_->progress_at + kFlushPatience) {
    flush_->timer.arm(now + flush_->interval);
    flush_->interval = std::min(flush_->interval * 2, kLastLook);
    return;
  }
  reset();
  link_->abort_delivered(now, stream_);
  owner_->link_touched();
}

}  // namespace holdfast
