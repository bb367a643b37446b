// What goes out: one gather for everything that has something to say.
//
// Order: the handshake; PING, PONG, DRAIN; RESET and OPENED; interactive streams; OPENs in order of
// id, each with what its own stream has to say (link_order.cc says what holds one up); acks; bulk
// streams in fair rounds; GOODBYE, which is the last frame of a link.
#include <algorithm>

#include "common/core/link.h"

namespace holdfast {

// The gather under construction: headers in one fixed buffer, payload where it lies.
struct LinkBody::Gather {
  LinkBody& link;
  std::size_t most = 0;
  std::size_t bytes = 0;
  std::size_t header_used = 0;
  std::size_t interactive = 0;  // bytes of interactive streams
  std::size_t answers = 0;      // bytes of PONG and ACK frames: the peer has nothing to say to them
  std::size_t question = 0;     // bytes of a PING

  std::size_t left() const { return most - std::min(most, bytes); }
  bool room(std::size_t header) const {
    return header_used + header <= tuning::kHeaderSpace &&
           link.buffers_.size() + 4 <= tuning::kMaxGatherBuffers;
  }
  MutableBytes space() {
    return MutableBytes(link.headers_.get(), tuning::kHeaderSpace).subspan(header_used);
  }
  // The next `size` bytes of space() were written.
  void header(std::size_t size) {
    add(link.headers_.get() + header_used, size);
    header_used += size;
  }
  void answer(std::size_t size) {
    header(size);
    answers += size;
  }
  void add(const std::uint8_t* data, std::size_t size) {
    bytes += size;
    auto& buffers = link.buffers_;
    if (!buffers.empty()) {
      iovec& back = buffers.back();
      if (static_cast<std::uint8_t*>(back.iov_base) + back.iov_len == data) {
        back.iov_len += size;
        return;
      }
    }
    buffers.push_back({const_cast<std::uint8_t*>(data), size});
  }
};

std::optional<Transmit> Link::poll_transmit(Time now, std::size_t most) {
  if (unwritten_ != 0 || carrier() == CarrierId{}) return std::nullopt;
  if (!headers_) {
    headers_.reset(new std::uint8_t[tuning::kHeaderSpace]);
    buffers_.reserve(tuning::kMaxGatherBuffers);
  }
  buffers_.clear();
  Gather gather{*this, most};
  if (!handshake_.empty()) {
    handshake_sent_.swap(handshake_);
    handshake_.clear();
    gather.add(handshake_sent_.data(), handshake_sent_.size());
  }
  // A question and its answer wait behind no bulk: not in a gather either, which is one TLS record.
  bool urgent = (ping_due_ || pong_due_) && outbox_.has_data(DataList::bulk);
  bool sends = sending();
  if (sends) gather_control(now, gather);
  if (sends && !urgent) {
    gather_refusals(now, gather);
    gather_stream_control(now, gather);
    gather_interactive(now, gather);
    gather_opens(now, gather);
    gather_acks(now, gather);
    gather_list(now, gather, DataList::bulk, gather.left());
    gather_opens(now, gather);  // those that followed bulk
    gather_goodbye(now, gather);
  }
  if (gather.bytes == 0) return std::nullopt;
  unwritten_ = gather.bytes;
  if (gather.bytes > gather.answers) liveness_.wrote(now);
  if (gather.bytes > gather.answers + gather.question) liveness_.wrote_more(now);
  first_bytes_.wrote(now, gather.bytes);
  return Transmit{carrier(), buffers_, gather.bytes, last_gathered_};
}

void Link::written(Time now, std::size_t size) {
  HOLDFAST_CHECK(size <= unwritten_);
  unwritten_ -= size;
  if (unwritten_ != 0 || size == 0) return;
  release_pins();
  handshake_sent_.clear();
  if (!last_gathered_) return;
  // GOODBYE is out: the driver closes the carrier in order, the link is over.
  last_gathered_ = false;
  settle_delivery();
  reader_ = FrameReader{};
  incoming_ = {};
  Cause reason = std::get<Leaving>(state_).reason;
  forgotten_ = true;
  state_ = Ended{reason};
  reset_all_streams(now, reason,
                    client() && reason == Cause::protocol ? Unsent::stays : Unsent::goes);
  trace_.note(now, TraceEvent::Kind::link_ended, 0, reason);
  push(effect::LinkEnded{reason});
}

void LinkBody::release_pins() {
  for (BlockIndex block : gathered_) pool_.arena.info(block).pinned = 0;
  gathered_.clear();
  for (BlockIndex block : pinned_) pool_.arena.release(block);
  pinned_.clear();
}

// --- Control --------------------------------------------------------------------------------

void LinkBody::gather_control(Time now, Gather& gather) {
  bool bulk = outbox_.has_data(DataList::bulk);
  bool busy = bulk || outbox_.has_data(DataList::interactive) || outbox_.has_acks();
  bool measure = busy && liveness_.measure_due(now, bulk);
  if (drain_due_) {
    drain_due_ = false;
    gather.header(encode_drain(gather.space()));
    trace_.frame(now, TraceEvent::Kind::send, FrameType::drain);
    // Whoever answers the question behind it has heard of it.
    drain_told_us_ = static_cast<std::uint64_t>(now.time_since_epoch().count());
    ping_due_ = true;
  }
  if (ping_due_ || measure) {
    ping_due_ = false;
    gather.question = encode_ping(gather.space(), liveness_.ping(now));
    gather.header(gather.question);
    trace_.frame(now, TraceEvent::Kind::send, FrameType::ping);
  }
  if (pong_due_) {
    gather.answer(encode_pong(gather.space(), *pong_due_));
    pong_due_.reset();
    trace_.frame(now, TraceEvent::Kind::send, FrameType::pong);
  }
  if (!notice_.empty()) {
    notice_sent_.swap(notice_);
    notice_.clear();
    gather.add(notice_sent_.data(), notice_sent_.size());
    trace_.frame(now, TraceEvent::Kind::send, FrameType::services_down);
  }
}

// Rule 7: in order of id, those to be sent again before any new one.
void LinkBody::gather_opens(Time now, Gather& gather) {
  if (!outbox_.has_opens() || std::holds_alternative<Leaving>(state_)) return;
  while (outbox_.has_opens() && gather.room(kMaxOpenFrame) && gather.left() != 0) {
    SlotIndex slot = outbox_.first_open();
    StreamRecord& record = streams_[slot];
    // A draining server takes back what it had, and nothing new.
    if (draining_ && !record.ever_sent) return;
    if (order_.follows(now, slot, live_since_, liveness_.round_trip())) return;
    outbox_.remove_open(slot);
    Open open;
    open.id = record.stream();
    record.receive.announce();
    open.limit = record.receive.limit_written();
    open.source = record.source;
    open.destination = record.destination;
    const LinkService& service = options_.services[record.service];
    if (!service.by_destination) open.service = service.name;
    gather.header(encode_open(gather.space(), open));
    trace_.frame(now, TraceEvent::Kind::send, FrameType::open, record.id);
    record.open_state = OpenState::sent;
    record.ever_sent = true;
    record.send.grant(initial_credit_);
    schedule(slot);
    maybe_resume_reading(slot);
    gather_interactive(now, gather);
  }
}

// They leave some of a gather to bulk.
void LinkBody::gather_interactive(Time now, Gather& gather) {
  if (!outbox_.has_data(DataList::interactive)) return;
  std::size_t most = gather.left();
  if (outbox_.has_data(DataList::bulk)) {
    std::size_t share = gather.most / 4 * tuning::kInteractiveQuarters;
    most = std::min(most, share - std::min(share, gather.interactive));
  }
  std::size_t before = gather.bytes;
  gather_list(now, gather, DataList::interactive, most);
  gather.interactive += gather.bytes - before;
}

void LinkBody::gather_refusals(Time now, Gather& gather) {
  std::size_t count = 0;
  while (count < refusals_.size() && gather.room(kMaxSmallFrame) && gather.left() != 0) {
    gather.header(encode_reset(gather.space(), refusals_[count]));
    trace_.frame(now, TraceEvent::Kind::send, FrameType::reset, refusals_[count].id.value);
    count += 1;
  }
  refusals_.erase(refusals_.begin(), refusals_.begin() + static_cast<std::ptrdiff_t>(count));
}

void LinkBody::gather_stream_control(Time now, Gather& gather) {
  while (outbox_.has_control() && gather.room(kMaxSmallFrame) && gather.left() != 0) {
    SlotIndex slot = outbox_.first_control();
    outbox_.remove_control(slot);
    StreamRecord& record = streams_[slot];
    if (record.reset == ResetState::waiting) {
      gather.header(encode_reset(gather.space(), {record.stream(), record.cause}));
      trace_.frame(now, TraceEvent::Kind::send, FrameType::reset, record.id);
      free_stream(now, slot);  // rule 10(c)
      continue;
    }
    if (!record.opened_unsent) continue;
    record.opened_unsent = false;
    gather.header(encode_opened(gather.space(), record.stream()));
    trace_.frame(now, TraceEvent::Kind::send, FrameType::opened, record.id);
    if (record.origin == 0) continue;  // else both have room in one small frame's
    gather.header(encode_origin(gather.space(), {record.stream(), record.origin}));
    trace_.frame(now, TraceEvent::Kind::send, FrameType::origin, record.id);
  }
}

// As many entries in one frame as there are.
void LinkBody::gather_acks(Time now, Gather& gather) {
  while (outbox_.has_acks() && gather.room(kFrameHeaderSize + kAckEntrySize)) {
    MutableBytes space = gather.space();
    std::size_t most = std::min((space.size() - kFrameHeaderSize) / kAckEntrySize, kMaxAckEntries);
    std::size_t count = 0;
    std::size_t size = kFrameHeaderSize;
    while (outbox_.has_acks() && count < most) {
      SlotIndex slot = outbox_.first_ack();
      announce(slot);
      const StreamRecord& record = streams_[slot];
      size += encode_ack_entry(space.subspan(size), {record.stream(), record.receive.ack_written(),
                                                     record.receive.limit_written()});
      count += 1;
      maybe_free(now, slot);
    }
    encode_ack_header(space, count);
    gather.answer(size);
    trace_.frame(now, TraceEvent::Kind::send, FrameType::ack, 0, 0, count);
  }
}

void LinkBody::gather_goodbye(Time now, Gather& gather) {
  auto* leaving = std::get_if<Leaving>(&state_);
  if (leaving == nullptr || leaving->said) return;
  if (!leaving->flushed && !ready_to_leave()) return;
  if (!gather.room(kMaxSmallFrame)) return;
  leaving->said = true;
  last_gathered_ = true;
  gather.header(encode_goodbye_frame(gather.space(), leaving->reason));
  trace_.frame(now, TraceEvent::Kind::send, FrameType::goodbye);
}

bool LinkBody::ready_to_leave() const {
  for (SlotIndex slot = streams_.first(); slot != kNoSlot; slot = streams_.next(slot)) {
    const StreamRecord& record = streams_[slot];
    if (client() && !record.ever_sent) continue;
    bool acked = record.send.acked() == record.send.sequence_end();
    if (!acked && !record.receive.aborts()) return false;
  }
  return true;
}

// --- Streams --------------------------------------------------------------------------------

void LinkBody::schedule(SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  if (!sending() || record.data_list != DataList::none || !record.sendable()) return;
  bool small = record.send.unsent_bytes() <= tuning::kInteractiveBytes;
  if (!small) order_.note_talker(slot);
  outbox_.add_data(slot, small ? DataList::interactive : DataList::bulk);
}

// Takes streams from the front of `list`, a quantum each, until `most` bytes are gathered; who
// has more to send goes to the end of the bulk list.
void LinkBody::gather_list(Time now, Gather& gather, DataList list, std::size_t most) {
  std::size_t begin = gather.bytes;
  while (outbox_.has_data(list) && gather.bytes - begin < most && gather.room(2 * kMaxSmallFrame)) {
    SlotIndex slot = outbox_.first_data(list);
    bool alone = list == DataList::bulk && outbox_.lone_bulk();
    std::size_t left = most - (gather.bytes - begin);
    outbox_.remove_data(slot);
    gather_stream(now, gather, slot, alone ? left : std::min(left, tuning::kQuantum));
    const StreamRecord* left_over = streams_.used(slot);
    if (left_over == nullptr || !left_over->sendable()) continue;
    outbox_.add_data(slot, DataList::bulk);
  }
}

void LinkBody::gather_stream(Time now, Gather& gather, SlotIndex slot, std::size_t quantum) {
  StreamRecord& record = streams_[slot];
  while (quantum != 0 && record.send.ready_bytes() != 0) {
    if (!gather.room(kMaxSmallFrame + kFrameHeaderSize)) return;
    auto size = static_cast<std::size_t>(
        std::min<std::uint64_t>({record.send.ready_bytes(), quantum, kMaxDataBytes}));
    std::size_t before = gather.bytes;
    gather_data(now, gather, slot, size);
    std::size_t taken = gather.bytes - before;
    quantum -= std::min(quantum, taken);
  }
  if (record.send.unsent_bytes() == 0) gather_marks(now, gather, slot);
  maybe_resume_reading(slot);
}

// One DATA frame of at most `size` bytes (fewer when the list of buffers ends).
void LinkBody::gather_data(Time now, Gather& gather, SlotIndex slot, std::size_t size) {
  StreamRecord& record = streams_[slot];
  BlockArena& arena = pool_.arena;
  std::size_t blocks_left = (tuning::kMaxGatherBuffers - buffers_.size() - 1);
  size = std::min(size, (blocks_left - 1) * tuning::kBlockSize);
  announce(slot);
  DataHeader header;
  header.id = record.stream();
  header.offset = record.send.next();
  header.ack = record.receive.ack_written();
  header.limit = record.receive.limit_written();
  header.length = static_cast<std::uint32_t>(size);
  gather.header(encode_data_header(gather.space(), header));
  trace_.frame(now, TraceEvent::Kind::send, FrameType::data, record.id, header.offset, size);
  counters_.replayed_bytes +=
      record.send.take(arena, size, [&](BlockIndex block, std::size_t skip, std::size_t piece) {
        gather.add(arena.data(block) + skip, piece);
        BlockInfo& info = arena.info(block);
        if (info.pinned != 0) return;
        info.pinned = 1;
        gathered_.push_back(block);
      });
}

// Rule 8: FIN and ABORT take one offset each, after the bytes.
void LinkBody::gather_marks(Time now, Gather& gather, SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  if (record.receive.aborts()) return;
  while (!record.send.all_taken() && gather.room(kMaxSmallFrame)) {
    std::uint64_t offset = record.send.next();
    bool fin = record.send.fin_is_next();
    if (fin) {
      gather.header(encode_fin(gather.space(), {record.stream(), offset}));
    } else {
      gather.header(encode_abort(gather.space(), {record.stream(), offset, record.cause}));
    }
    trace_.frame(now, TraceEvent::Kind::send, fin ? FrameType::fin : FrameType::abort, record.id,
                 offset);
    record.send.take_mark();
  }
  if (record.receive.discarding()) ack_now(slot);
}

}  // namespace holdfast
