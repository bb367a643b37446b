#include "tests/sim/link_driver.h"

#include <algorithm>

#include "common/base/overloaded.h"
#include "tests/sim/world.h"

namespace holdfast::sim {
namespace {

// Far beyond what one input can cause: a loop that does not end.
constexpr int kMaxEffects = 2000000;
// What one turn reads from a carrier before others have theirs.
constexpr std::size_t kTurnBytes = 65536;

}  // namespace

LinkDriver::~LinkDriver() = default;

void LinkDriver::mind(StreamHandle handle, Conversation& conversation) {
  if (sockets_.size() <= handle.slot) sockets_.resize(handle.slot + 1);
  Socket& socket = sockets_[handle.slot];
  require(socket.conversation == nullptr, "a stream's slot was taken before its Ended");
  socket = {handle, &conversation};
}

Conversation* LinkDriver::find(StreamHandle handle) {
  require(handle.slot < sockets_.size() && sockets_[handle.slot].conversation != nullptr &&
              sockets_[handle.slot].handle == handle,
          "an effect for a stream that is not there");
  return sockets_[handle.slot].conversation;
}

void LinkDriver::adopt(Conversation& conversation, StreamHandle handle) {
  Side& side = side_of(conversation);
  mind(handle, conversation);
  side.driver = this;
  side.handle = handle;
  side.socket = Side::Socket::attached;
}

// --- The loop --------------------------------------------------------------------------------

void LinkDriver::pump() {
  do {
    drain_effects();
  } while (verify() || transmit());
  if (ended_) {
    Cause cause = *ended_;
    ended_.reset();
    owner_.link_ended(*this, cause);  // may destroy this driver
    return;
  }
}

void LinkDriver::drain_effects() {
  require(!draining_effects_, "the driver itself re-entered");
  draining_effects_ = true;
  int effects = 0;
  while (std::optional<Effect> effect = link_.poll_effect(world_.now())) {
    require(++effects < kMaxEffects, "effects without end");
    handle_effect(*effect);
  }
  draining_effects_ = false;
}

bool LinkDriver::verify() {
  if (verify_ == CarrierId{}) return false;
  CarrierId asked = std::exchange(verify_, CarrierId{});
  Carrier* carrier = world_.carrier(asked);
  if (carrier == nullptr || link_.carrier() != asked) return false;
  const Pipe& pipe = side_ == 0 ? carrier->to_client : carrier->to_server;
  bool quiet =
      pipe.readable(world_.now(), 1).empty() && pipe.ended(world_.now()) == Pipe::End::none;
  // Of an encrypted one, half a record is not heard either.
  if (carrier->ends[side_] ? !read_carrier(*carrier) : quiet) {
    link_.carrier_silent(world_.now(), asked);
  } else if (!carrier->ends[side_]) {
    read_carrier(*carrier);
  }
  return true;
}

bool LinkDriver::read_carrier(Carrier& carrier) {
  CarrierId id = carrier.id;
  std::size_t total = 0;
  while (link_.carrier() == id && total < kTurnBytes) {
    if (!world_.read(carrier, side_, buffer_)) break;
    total += buffer_.size();
    link_.carrier_bytes(world_.now(), id, buffer_);
    drain_effects();
    // Who kept a view of the bytes reads these.
    std::fill(buffer_.begin(), buffer_.end(), std::uint8_t{0xdd});
    if (link_.carrier() != id || !world_.may_read_on(carrier, side_)) break;
  }
  if (link_.carrier() != id) return true;
  Pipe::End end = world_.ended(carrier, side_);
  if (end == Pipe::End::none) {
    world_.watch(carrier, side_);
    return total != 0;
  }
  Cause cause = end == Pipe::End::eof ? Cause::carrier_eof : Cause::carrier_reset;
  link_.carrier_down(world_.now(), id, cause);
  world_.close(id, side_, Pipe::End::reset);
  return true;
}

void LinkDriver::timeout() {
  if (world_.now() < link_.next_timeout()) return;
  link_.timeout(world_.now());
}

bool LinkDriver::transmit() {
  bool progress = false;
  while (true) {
    if (transmit_ && link_.carrier() != transmit_->carrier) transmit_.reset();
    if (!transmit_) {
      std::size_t most = 1 + world_.options().gather;
      transmit_ = link_.poll_transmit(world_.now(), most);
      transmit_done_ = 0;
      if (!transmit_) return progress;
      std::size_t bytes = 0;
      for (const iovec& buffer : transmit_->buffers) bytes += buffer.iov_len;
      require(bytes == transmit_->bytes && bytes != 0, "a Transmit whose sizes do not add up");
      require(transmit_->carrier == link_.carrier(), "a Transmit for another carrier");
    }
    std::size_t left = transmit_->bytes - transmit_done_;
    std::size_t skip = transmit_done_;
    bool last = transmit_->last;
    CarrierId id = transmit_->carrier;
    Carrier* carrier = world_.carrier(id);
    require(carrier != nullptr, "a Transmit for a carrier that was closed");
    rest_.clear();
    for (const iovec& buffer : transmit_->buffers) {
      std::size_t cut = std::min(skip, buffer.iov_len);
      skip -= cut;
      if (cut == buffer.iov_len) continue;
      rest_.push_back({static_cast<std::uint8_t*>(buffer.iov_base) + cut, buffer.iov_len - cut});
    }
    std::size_t put = world_.write(*carrier, side_, rest_);
    if (put == 0) return progress;
    progress = true;
    transmit_done_ += put;
    if (put == left) transmit_.reset();
    link_.written(world_.now(), put);
    if (put < left) return true;
    if (last) {
      world_.close(id, side_, Pipe::End::eof);
      return true;
    }
  }
}

// --- Effects ---------------------------------------------------------------------------------

void LinkDriver::handle_effect(const Effect& effect) {
  std::visit(
      overloaded{
          [&](const effect::Deliver& e) { deliver(e); },
          [&](const effect::DeliverFin& e) { deliver_fin(e); },
          [&](const effect::DeliverAbort& e) { deliver_abort(e); },
          [&](const effect::ResetSocket& e) { reset_socket(e); },
          [&](const effect::ResumeReading& e) {
            Conversation* conversation = find(e.stream);
            side_of(*conversation).paused = false;
            world_.look_at_socket(*conversation, side_);
          },
          [&](const effect::ConnectTarget& e) { connect_target(e); },
          [&](const effect::Opened& e) {
            require(side_ == 0, "Opened at a server");
            find(e.stream);
          },
          [&](const effect::Ended& e) { stream_ended(e); },
          [&](const effect::OpenRefused& e) {
            require(side_ == 1, "OpenRefused at a client");
            world_.open_refused(client_, e);
          },
          [&](const effect::CloseCarrier& e) {
            require(link_.carrier() != e.carrier, "CloseCarrier for the carrier in use");
            world_.note_carrier_end(e.cause);
            world_.close(e.carrier, side_, Pipe::End::reset);
          },
          [&](const effect::VerifyCarrier& e) { verify_ = e.carrier; },
          [&](const effect::LinkUp& e) {
            require(!up_, "LinkUp of a link that is up");
            up_ = true;
            longest_outage_ = longest_outage();
            down_since_.reset();
            world_.link_up(*this, side_, e);
          },
          [&](const effect::LinkDown&) {
            require(up_, "LinkDown of a link that is down");
            up_ = false;
            down_since_ = world_.now();
          },
          [&](const effect::LinkEnded& e) { ended_ = e.cause; },
          [&](const effect::Refused& e) { owner_.refused(*this, e); },
          [&](const effect::Draining&) { require(side_ == 0, "Draining at a server"); },
          [&](const effect::ServicesDown&) { require(side_ == 0, "ServicesDown at a server"); },
      },
      effect);
}

Duration LinkDriver::longest_outage() const {
  Duration current = down_since_ ? world_.now() - *down_since_ : Duration{};
  return std::max(longest_outage_, current);
}

void LinkDriver::deliver(const effect::Deliver& deliver) {
  Conversation* conversation = find(deliver.stream);
  Side& side = side_of(*conversation);
  require(!deliver.bytes.empty(), "Deliver of nothing");
  require(side.socket == Side::Socket::attached, "Deliver to a socket that is not attached");
  conversation->check_delivery(side_, deliver.bytes);
  std::uint64_t size = std::min<std::uint64_t>(side.room(), deliver.bytes.size());
  if (world_.random().one_in(8)) size = world_.random().below(size + 1);
  side.accepted += size;
  world_.totals().bytes += size;
  link_.delivered(world_.now(), deliver.stream, size);
  world_.look_at_application(*conversation, side_);
  if (size < deliver.bytes.size()) world_.look_at_socket(*conversation, side_);
}

void LinkDriver::deliver_fin(const effect::DeliverFin& deliver) {
  Conversation* conversation = find(deliver.stream);
  Side& side = side_of(*conversation);
  require(side.socket == Side::Socket::attached, "DeliverFin to a socket that is not attached");
  conversation->check_fin(side_);
  side.got_fin = true;
  link_.fin_delivered(world_.now(), deliver.stream);
  world_.look_at_application(*conversation, side_);
  maybe_close(side);
}

void LinkDriver::deliver_abort(const effect::DeliverAbort& deliver) {
  Conversation* conversation = find(deliver.stream);
  Side& side = side_of(*conversation);
  require(side.socket == Side::Socket::attached, "DeliverAbort to a socket that is not attached");
  conversation->check_abort(side_);
  side.got_abort = true;
  side.abort_since = world_.now();
  world_.look_at_application(*conversation, side_);
  world_.look_at_socket(*conversation, side_);
}

void LinkDriver::reset_socket(const effect::ResetSocket& reset) {
  Conversation* conversation = find(reset.stream);
  Side& side = side_of(*conversation);
  require(side.socket != Side::Socket::closed && side.socket != Side::Socket::none,
          "ResetSocket for a socket that is gone");
  side.socket = Side::Socket::closed;
  side.got_reset = true;
  side.reset_cause = reset.cause;
  world_.explain(*conversation, side_, reset.cause, "reset");
  world_.look_at_application(*conversation, side_);
}

void LinkDriver::connect_target(const effect::ConnectTarget& connect) {
  require(side_ == 1, "ConnectTarget at a client");
  StreamHandle handle;
  auto summary = link_.find_stream(world_.now(), connect.stream.id, &handle);
  require(summary.has_value() && handle == connect.stream, "ConnectTarget for no stream");
  Conversation& conversation = world_.conversation_of(summary->source);
  Side& side = side_of(conversation);
  require(summary->service == conversation.script.service, "the wrong service was asked for");
  conversation.backend_connects += 1;
  require(conversation.backend_connects == 1,
          conversation.name() + ": opened twice at the backend");
  mind(connect.stream, conversation);
  side.driver = this;
  side.handle = connect.stream;
  side.socket = Side::Socket::connecting;
  world_.connect_backend(conversation);
}

void LinkDriver::stream_ended(const effect::Ended& ended) {
  Conversation* conversation = find(ended.stream);
  Side& side = side_of(*conversation);
  side.ended += 1;
  side.ended_cause = ended.summary.cause;
  side.ended_at = world_.now();
  require(side.ended == 1, conversation->name() + ": two Ended");
  require(side.socket == Side::Socket::closed,
          conversation->name() + ": Ended while the driver still holds the socket");
  require(ended.summary.sent_bytes == side.taken, conversation->name() + ": wrong sent_bytes");
  world_.stream_ended(*conversation, side_, ended.summary);
  sockets_[ended.stream.slot] = {};
  side.driver = nullptr;
}

// --- Sockets ---------------------------------------------------------------------------------

void LinkDriver::maybe_close(Side& side) {
  if (side.finish_told && side.got_fin && side.socket == Side::Socket::attached) {
    side.socket = Side::Socket::closed;
  }
}

void LinkDriver::service(Conversation& conversation) {
  Side& side = side_of(conversation);
  if (side.socket != Side::Socket::attached) return;
  if (side.got_abort) {
    finish_abort(conversation);
    return;
  }
  put_queued(conversation);
  if (side.socket != Side::Socket::attached || side.got_abort) return;
  take_from_application(conversation);
}

void LinkDriver::put_queued(Conversation& conversation) {
  Side& side = side_of(conversation);
  while (side.room() != 0) {
    iovec views[4];
    std::size_t count = link_.queued(side.handle, std::span(views, 1 + world_.random().below(4)));
    if (count == 0) return;
    std::uint64_t put = 0;
    std::uint64_t room = side.room();
    for (std::size_t i = 0; i < count; ++i) {
      Bytes bytes(static_cast<const std::uint8_t*>(views[i].iov_base), views[i].iov_len);
      bytes = bytes.first(std::min<std::uint64_t>(bytes.size(), room));
      if (bytes.empty()) break;
      conversation.check_delivery(side_, bytes);
      side.accepted += bytes.size();
      room -= bytes.size();
      put += bytes.size();
    }
    world_.totals().bytes += put;
    link_.delivered(world_.now(), side.handle, put);
    world_.look_at_application(conversation, side_);
    drain_effects();
    if (side.socket != Side::Socket::attached || side.got_abort) return;
  }
}

// Our application's reset is told at once even while reading is paused; else in order.
void LinkDriver::take_from_application(Conversation& conversation) {
  Side& side = side_of(conversation);
  std::size_t budget = kTurnBytes;
  while (!side.paused && side.taken < side.written) {
    if (budget == 0) return world_.look_at_socket(conversation, side_);
    iovec room[8];
    std::size_t want = 1 + world_.random().below(std::min<std::uint64_t>(budget, 20000));
    std::size_t count =
        link_.prepare(side.handle, want, std::span(room, 1 + world_.random().below(8)));
    if (count == 0) {
      side.paused = true;
      break;
    }
    std::size_t filled = 0;
    std::size_t offered = 0;
    bool dry = world_.random().one_in(50);  // readable was announced, nothing was there
    for (std::size_t i = 0; i < count; ++i) {
      offered += room[i].iov_len;
      std::size_t size =
          dry ? 0 : std::min<std::uint64_t>(room[i].iov_len, side.written - side.taken - filled);
      fill_pattern(side.key, side.taken + filled, static_cast<std::uint8_t*>(room[i].iov_base),
                   size);
      filled += size;
    }
    require(offered <= want, "prepare() gave more than was wanted");
    side.taken += filled;
    budget -= std::min(budget, filled);
    link_.commit(world_.now(), side.handle, filled);
    drain_effects();
    if (side.socket != Side::Socket::attached || side.got_abort) return;
  }
  if (side.said_reset && !side.abort_told && (side.paused || side.taken == side.written)) {
    side.abort_told = true;
    side.abort_told_at = world_.now();
    side.socket = Side::Socket::closed;
    link_.abort(world_.now(), side.handle);
    return;
  }
  if (side.said_eof && !side.finish_told && side.taken == side.written) {
    side.finish_told = true;
    link_.finish(world_.now(), side.handle);
    maybe_close(side);
    drain_effects();
  }
  world_.look_at_application(conversation, side_);
}

bool LinkDriver::finish_abort(Conversation& conversation) {
  Side& side = side_of(conversation);
  bool drained = side.consumed == side.accepted;
  bool lingered = world_.now() >= side.abort_since + seconds(5);
  if (!drained && !lingered) {
    world_.look_at_socket_at(conversation, side_, side.abort_since + seconds(5));
    return false;
  }
  side.socket = Side::Socket::closed;
  side.abort_done = true;
  link_.abort_delivered(world_.now(), side.handle);
  return true;
}

void LinkDriver::backend_answer(Conversation& conversation, bool connected) {
  Side& side = side_of(conversation);
  if (side.socket != Side::Socket::connecting) return;
  if (!connected) {
    conversation.excuses.backend_refused = true;
    link_.reset(world_.now(), side.handle, Cause::target_refused);
    return;
  }
  side.socket = Side::Socket::attached;
  link_.opened(world_.now(), side.handle);
  drain_effects();
  service(conversation);
}

void LinkDriver::abandon() {
  for (Socket& socket : sockets_) {
    if (socket.conversation == nullptr) continue;
    Side& side = side_of(*socket.conversation);
    side.process_gone = true;
    side.driver = nullptr;
    if (side.socket != Side::Socket::closed) {
      side.socket = Side::Socket::closed;
      side.got_reset = true;
    }
    socket = {};
  }
}

void LinkDriver::write_trace() {
  if (link_.options().trace) world_.write_trace(link_, side_, client_);
}

}  // namespace holdfast::sim
