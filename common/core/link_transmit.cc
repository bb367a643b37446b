// What goes out: one gather for everything that has something to say.
//
// Order: the handshake; PING, PONG, DRAIN; RESET and OPENED; interactive streams; OPENs in order of
// id, each with what its own stream has to say (link_order.cc says what holds one up); acks; bulk
// streams in fair rounds; GOODBYE, which is the last frame of a link.
#include <algorithm>

#include "common/core/link.h"

namespace holdfast {

// The gather under construction: headers in one fixed buffer, payload where it lies.
struct Link::Gather {
  Link& link;
  std::size_t most = 0;
  std::size_t bytes = 0;
  std::size_t header_used = 0;
  std::size_t interactive = 0;  // bytes of interactive streams
  std::size_t answers = 0;      // bytes of PONG and ACK frames: the peer has nothing to say to them

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
  bool urgent = (ping_due_ || pong_due_) && !bulk_.empty();
  bool sends = sending();
  if (sends) gather_control(now, gather);
  if (sends && !urgent) {
    gather_refusals(now, gather);
    gather_stream_control(now, gather);
    gather_interactive(now, gather);
    gather_opens(now, gather);
    gather_acks(now, gather);
    gather_list(now, gather, bulk_, gather.left());
    gather_opens(now, gather);  // those that followed bulk
    gather_goodbye(now, gather);
  }
  if (gather.bytes == 0) return std::nullopt;
  unwritten_ = gather.bytes;
  if (gather.bytes > gather.answers) liveness_.wrote(now);
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
  reset_all_streams(now, reason, client() && reason == Cause::protocol);
  push(effect::LinkEnded{reason});
}

void Link::release_pins() {
  for (BlockIndex block : gathered_) pool_.arena.info(block).pinned = 0;
  gathered_.clear();
  for (BlockIndex block : pinned_) pool_.arena.release(block);
  pinned_.clear();
}

// --- Control --------------------------------------------------------------------------------

void Link::gather_control(Time now, Gather& gather) {
  bool busy = !interactive_.empty() || !bulk_.empty() || !acks_.empty();
  bool measure = busy && liveness_.measure_due(now, !bulk_.empty());
  if (ping_due_ || measure) {
    ping_due_ = false;
    gather.header(encode_ping(gather.space(), liveness_.ping(now)));
    trace_frame(now, TraceEvent::Kind::send, FrameType::ping);
  }
  if (pong_due_) {
    gather.answer(encode_pong(gather.space(), *pong_due_));
    pong_due_.reset();
    trace_frame(now, TraceEvent::Kind::send, FrameType::pong);
  }
  if (!notice_.empty()) {
    notice_sent_.swap(notice_);
    notice_.clear();
    gather.add(notice_sent_.data(), notice_sent_.size());
    trace_frame(now, TraceEvent::Kind::send, FrameType::services_down);
  }
  if (drain_due_) {
    drain_due_ = false;
    gather.header(encode_drain(gather.space()));
    trace_frame(now, TraceEvent::Kind::send, FrameType::drain);
  }
}

// Rule 7: in order of id, those to be sent again before any new one.
void Link::gather_opens(Time now, Gather& gather) {
  if (opens_.empty() || std::holds_alternative<Leaving>(state_)) return;
  while (!opens_.empty() && gather.room(kMaxOpenFrame) && gather.left() != 0) {
    SlotIndex slot = opens_.first;
    StreamRecord& record = streams_[slot];
    // A draining server takes back what it had, and nothing new.
    if (draining_ && !record.ever_sent) return;
    if (follows(now, slot)) return;
    streams_.erase<&StreamRecord::control>(opens_, slot);
    Open open;
    open.id = record.stream();
    open.limit = std::max(announced_limit(record), record.limit_written);
    open.source = record.source;
    open.destination = record.destination;
    const LinkService& service = options_.services[record.service];
    if (!service.by_destination) open.service = service.name;
    gather.header(encode_open(gather.space(), open));
    trace_frame(now, TraceEvent::Kind::send, FrameType::open, record.id);
    record.limit_written = open.limit;
    record.open_state = OpenState::sent;
    record.ever_sent = true;
    record.send_limit = initial_credit_;
    schedule(slot);
    maybe_resume_reading(slot);
    gather_interactive(now, gather);
  }
}

// They leave some of a gather to bulk.
void Link::gather_interactive(Time now, Gather& gather) {
  if (interactive_.empty()) return;
  std::size_t most = gather.left();
  if (!bulk_.empty()) {
    std::size_t share = gather.most / 4 * tuning::kInteractiveQuarters;
    most = std::min(most, share - std::min(share, gather.interactive));
  }
  std::size_t before = gather.bytes;
  gather_list(now, gather, interactive_, most);
  gather.interactive += gather.bytes - before;
}

void Link::gather_refusals(Time now, Gather& gather) {
  std::size_t count = 0;
  while (count < refusals_.size() && gather.room(kMaxSmallFrame) && gather.left() != 0) {
    gather.header(encode_reset(gather.space(), refusals_[count]));
    trace_frame(now, TraceEvent::Kind::send, FrameType::reset, refusals_[count].id.value);
    count += 1;
  }
  refusals_.erase(refusals_.begin(), refusals_.begin() + static_cast<std::ptrdiff_t>(count));
}

void Link::gather_stream_control(Time now, Gather& gather) {
  while (!control_.empty() && gather.room(kMaxSmallFrame) && gather.left() != 0) {
    SlotIndex slot = control_.first;
    leave_control(slot);
    StreamRecord& record = streams_[slot];
    if (record.reset == ResetState::waiting) {
      gather.header(encode_reset(gather.space(), {record.stream(), record.cause}));
      trace_frame(now, TraceEvent::Kind::send, FrameType::reset, record.id);
      free_stream(now, slot);  // rule 10(c)
      continue;
    }
    if (!record.opened_unsent) continue;
    record.opened_unsent = false;
    gather.header(encode_opened(gather.space(), record.stream()));
    trace_frame(now, TraceEvent::Kind::send, FrameType::opened, record.id);
    if (record.origin == 0) continue;  // else both have room in one small frame's
    gather.header(encode_origin(gather.space(), {record.stream(), record.origin}));
    trace_frame(now, TraceEvent::Kind::send, FrameType::origin, record.id);
  }
}

// As many entries in one frame as there are.
void Link::gather_acks(Time now, Gather& gather) {
  while (!acks_.empty() && gather.room(kFrameHeaderSize + kAckEntrySize)) {
    MutableBytes space = gather.space();
    std::size_t most = std::min((space.size() - kFrameHeaderSize) / kAckEntrySize, kMaxAckEntries);
    std::size_t count = 0;
    std::size_t size = kFrameHeaderSize;
    while (!acks_.empty() && count < most) {
      SlotIndex slot = acks_.first;
      refresh_limit(streams_[slot]);
      mark_ack_written(slot);
      const StreamRecord& record = streams_[slot];
      size += encode_ack_entry(space.subspan(size),
                               {record.stream(), record.ack_written, record.limit_written});
      count += 1;
      maybe_free(now, slot);
    }
    encode_ack_header(space, count);
    gather.answer(size);
    trace_frame(now, TraceEvent::Kind::send, FrameType::ack, 0, 0, count);
  }
}

void Link::gather_goodbye(Time now, Gather& gather) {
  auto* leaving = std::get_if<Leaving>(&state_);
  if (leaving == nullptr || leaving->said) return;
  if (!leaving->flushed && !ready_to_leave()) return;
  if (!gather.room(kMaxSmallFrame)) return;
  leaving->said = true;
  last_gathered_ = true;
  gather.header(encode_goodbye_frame(gather.space(), leaving->reason));
  trace_frame(now, TraceEvent::Kind::send, FrameType::goodbye);
}

bool Link::ready_to_leave() const {
  for (SlotIndex slot = streams_.first(); slot != kNoSlot; slot = streams_.next(slot)) {
    const StreamRecord& record = streams_[slot];
    if (client() && !record.ever_sent) continue;
    if (record.acked != record.sequence_end() && !has_abort(record.peer_end)) return false;
  }
  return true;
}

// --- Streams --------------------------------------------------------------------------------

bool Link::sendable(const StreamRecord& record) const {
  if (record.reset == ResetState::waiting || has_abort(record.peer_end)) return false;
  if (client() && record.open_state == OpenState::queued) return false;
  if (record.next < record.committed) return record.next < record.send_limit;
  return record.next < record.sequence_end();
}

void Link::schedule(SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  if (!sending() || record.data_list != DataList::none || !sendable(record)) return;
  std::uint64_t unsent = record.committed - std::min(record.next, record.committed);
  bool small = unsent <= tuning::kInteractiveBytes;
  if (!small) note_talker(slot);
  record.data_list = small ? DataList::interactive : DataList::bulk;
  streams_.push_back<&StreamRecord::data>(small ? interactive_ : bulk_, slot);
}

void Link::unschedule(SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  if (record.data_list == DataList::none) return;
  SlotList& list = record.data_list == DataList::interactive ? interactive_ : bulk_;
  streams_.erase<&StreamRecord::data>(list, slot);
  record.data_list = DataList::none;
}

void Link::want_control(SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  if (record.in_control) return;
  record.in_control = true;
  streams_.push_back<&StreamRecord::control>(control_, slot);
}

void Link::leave_control(SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  if (!record.in_control) return;
  record.in_control = false;
  streams_.erase<&StreamRecord::control>(control_, slot);
}

// Takes streams from the front of `list`, a quantum each, until `most` bytes are gathered; who
// has more to send goes to the end of the bulk list.
void Link::gather_list(Time now, Gather& gather, SlotList& list, std::size_t most) {
  std::size_t begin = gather.bytes;
  while (!list.empty() && gather.bytes - begin < most && gather.room(2 * kMaxSmallFrame)) {
    SlotIndex slot = list.first;
    bool alone = list.first == list.last && interactive_.empty();
    std::size_t left = most - (gather.bytes - begin);
    unschedule(slot);
    gather_stream(now, gather, slot, alone ? left : std::min(left, tuning::kQuantum));
    if (streams_[slot].id == 0 || !sendable(streams_[slot])) continue;
    streams_[slot].data_list = DataList::bulk;
    streams_.push_back<&StreamRecord::data>(bulk_, slot);
  }
}

void Link::gather_stream(Time now, Gather& gather, SlotIndex slot, std::size_t quantum) {
  StreamRecord& record = streams_[slot];
  while (quantum != 0 && record.next < record.committed && record.next < record.send_limit) {
    if (!gather.room(kMaxSmallFrame + kFrameHeaderSize)) return;
    std::uint64_t available = std::min(record.committed, record.send_limit) - record.next;
    auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>({available, quantum, kMaxDataBytes}));
    std::size_t before = gather.bytes;
    gather_data(now, gather, slot, size);
    std::size_t taken = gather.bytes - before;
    quantum -= std::min(quantum, taken);
  }
  if (record.next >= record.committed) gather_marks(now, gather, slot);
  maybe_resume_reading(slot);
}

// One DATA frame of at most `size` bytes (fewer when the list of buffers ends).
void Link::gather_data(Time now, Gather& gather, SlotIndex slot, std::size_t size) {
  StreamRecord& record = streams_[slot];
  BlockArena& arena = pool_.arena;
  std::size_t blocks_left = (tuning::kMaxGatherBuffers - buffers_.size() - 1);
  size = std::min(size, (blocks_left - 1) * tuning::kBlockSize);
  refresh_limit(record);
  mark_ack_written(slot);
  DataHeader header;
  header.id = record.stream();
  header.offset = record.next;
  header.ack = record.ack_written;
  header.limit = record.limit_written;
  header.length = static_cast<std::uint32_t>(size);
  gather.header(encode_data_header(gather.space(), header));
  trace_frame(now, TraceEvent::Kind::send, FrameType::data, record.id, header.offset, size);
  if (record.cursor == kNoBlock) {
    record.cursor = find_block(arena, record.log, kNoBlock, record.next);
  }
  std::size_t left = size;
  while (left != 0) {
    HOLDFAST_CHECK(record.cursor != kNoBlock);
    BlockInfo& info = arena.info(record.cursor);
    auto skip = static_cast<std::size_t>(record.next - info.offset);
    std::size_t take = std::min(left, info.used - skip);
    gather.add(arena.data(record.cursor) + skip, take);
    if (info.pinned == 0) {
      info.pinned = 1;
      gathered_.push_back(record.cursor);
    }
    record.next += take;
    left -= take;
    // A full block is done with; the last one may still be written to.
    if (skip + take == tuning::kBlockSize) record.cursor = info.next;
  }
  if (header.offset < record.sent) {
    std::uint64_t again = std::min(record.sent, record.next) - header.offset;
    record.replayed += again;
    counters_.replayed_bytes += again;
  }
  record.sent = std::max(record.sent, record.next);
}

// Rule 8: FIN and ABORT take one offset each, after the bytes.
void Link::gather_marks(Time now, Gather& gather, SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  if (has_abort(record.peer_end)) return;
  while (record.next < record.sequence_end() && gather.room(kMaxSmallFrame)) {
    bool fin = has_fin(record.own_end) && record.next == record.own_fin_offset();
    if (fin) {
      gather.header(encode_fin(gather.space(), {record.stream(), record.next}));
    } else {
      gather.header(encode_abort(gather.space(), {record.stream(), record.next, record.cause}));
    }
    trace_frame(now, TraceEvent::Kind::send, fin ? FrameType::fin : FrameType::abort, record.id,
                record.next);
    record.next += 1;
    record.sent = std::max(record.sent, record.next);
  }
  if (record.discarding()) ack_now(slot);
}

}  // namespace holdfast
