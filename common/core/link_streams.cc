// What the driver says about one stream, and how a stream ends.
#include <algorithm>

#include "common/core/link.h"

namespace holdfast {
namespace {

// Stale deadlines that are let stand before they are swept out.
constexpr std::size_t kSpareDeadlines = 64;

}  // namespace

StreamRecord* Link::find(StreamHandle stream) {
  if (stream.slot >= streams_.slots()) return nullptr;
  StreamRecord& record = streams_[stream.slot];
  return stream.id.value != 0 && record.id == stream.id.value ? &record : nullptr;
}

Result<StreamHandle> Link::open(Time now, const OpenRequest& request) {
  HOLDFAST_CHECK(client() && request.service < options_.services.size());
  if (ended() || std::holds_alternative<Leaving>(state_)) return Error{"the link is ending"};
  if (streams_.size() >= std::min(options_.max_streams, peer_max_streams_)) {
    return Error{"too many connections on this link (" + std::to_string(streams_.size()) + ")"};
  }
  if (!pool_.admit()) {
    return Error{
        "too many connections (limits.connections = " + std::to_string(pool_.max_streams()) + ")"};
  }
  last_id_.value += 1;
  SlotIndex slot = streams_.add(last_id_);
  StreamRecord& record = streams_[slot];
  record.service = request.service;
  record.source = request.source;
  record.destination = request.destination;
  record.opened_at_us = now.time_since_epoch().count();
  record.window = static_cast<std::uint32_t>(std::min(tuning::kInitialWindow, options_.max_window));
  refresh_limit(record);
  streams_.push_back<&StreamRecord::control>(opens_, slot);
  add_deadline(open_deadlines_, slot, now);  // with open_timeout as it is then
  TraceEvent event;
  event.kind = TraceEvent::Kind::stream_open;
  event.id = last_id_.value;
  trace(now, event);
  return handle(slot);
}

void Link::opened(Time, StreamHandle stream) {
  StreamRecord* record = find(stream);
  if (record == nullptr || record->open_state != OpenState::connecting) return;
  if (record->reset == ResetState::waiting) return;
  record->open_state = OpenState::open;
  if (sending()) {
    record->opened_unsent = true;
    want_control(stream.slot);
  }
  advance_delivery(stream.slot);
}

// --- From the application -------------------------------------------------------------------

// Bytes that may be read from the application now, by credit and age; memory is another matter.
std::uint64_t Link::read_room(const StreamRecord& record) const {
  if (record.own_end != EndMark::none || has_abort(record.peer_end)) return 0;
  if (record.reset == ResetState::waiting) return 0;
  std::uint64_t credit = record.send_limit - std::min(record.send_limit, record.acked);
  std::uint64_t target = std::max(tuning::kReadAhead, credit);
  std::uint64_t log = record.log_bytes();
  std::uint64_t room = target - std::min(target, log);
  if (sending()) {
    std::uint64_t unsent = record.committed - std::min(record.next, record.committed);
    room = std::min(room, tuning::kMaxUnsent - std::min(tuning::kMaxUnsent, unsent));
  }
  return room;
}

// Bytes that memory allows beyond the log's last byte.
std::uint64_t Link::send_room(const StreamRecord& record) const {
  std::uint64_t allowed =
      tuning::kFloorBlocks +
      pool_.send.allowance(record.send_shared, send_share_) / tuning::kBlockSize;
  std::uint64_t blocks = record.log.blocks;
  std::uint64_t room = blocks >= allowed ? 0 : (allowed - blocks) * tuning::kBlockSize;
  if (record.log.tail != kNoBlock) {
    room += tuning::kBlockSize - pool_.arena.info(record.log.tail).used;
  }
  return room;
}

std::size_t Link::prepare(StreamHandle stream, std::size_t want, std::span<iovec> buffers) {
  StreamRecord* record = find(stream);
  if (record == nullptr) return 0;
  std::uint64_t by_credit = read_room(*record);
  std::uint64_t room = std::min<std::uint64_t>(by_credit, send_room(*record));
  if (room == 0) {
    if (record->reading == Reading::running) {
      (by_credit == 0 ? counters_.pauses_credit : counters_.pauses_memory) += 1;
    }
    record->reading = Reading::paused;
    return 0;
  }
  auto size = static_cast<std::size_t>(std::min<std::uint64_t>(room, want));
  record->offered = size;
  return prepare_room(pool_.arena, record->log, record->id, record->committed, size, buffers);
}

void Link::commit(Time now, StreamHandle stream, std::size_t size) {
  StreamRecord* record = find(stream);
  if (record == nullptr) return;
  BlockArena& arena = pool_.arena;
  BlockIndex tail = record->log.tail;
  bool room_in_tail = tail != kNoBlock && arena.info(tail).used < tuning::kBlockSize;
  commit_room(arena, record->log, size);
  account_send(*record);
  note_read(now, stream.slot, size);
  if (size == 0) return;
  if (record->cursor == kNoBlock && record->next == record->committed) {
    BlockIndex first = tail == kNoBlock ? record->log.head
                       : room_in_tail   ? tail
                                        : arena.info(tail).next;
    record->cursor = first;
  }
  record->committed += size;
  counters_.sent_bytes += size;
  record->active_at_us = now.time_since_epoch().count();
  schedule(stream.slot);
}

void Link::account_send(StreamRecord& record) {
  std::uint64_t blocks = record.log.blocks;
  std::uint64_t shared =
      blocks <= tuning::kFloorBlocks ? 0 : (blocks - tuning::kFloorBlocks) * tuning::kBlockSize;
  pool_.send.change(record.send_shared, shared, send_share_);
  record.send_shared = shared;
}

void Link::maybe_resume_reading(SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  if (record.reading == Reading::running || record.socket == SocketState::closed) return;
  std::uint64_t room = std::min(read_room(record), send_room(record));
  // Wake for something worth a read, or when nothing is left that could wake us later.
  if (room < 4 * tuning::kBlockSize && (room == 0 || record.log_bytes() != 0)) return;
  record.reading = Reading::running;
  push(effect::ResumeReading{handle(slot)});
}

void Link::finish(Time, StreamHandle stream) {
  StreamRecord* record = find(stream);
  if (record == nullptr || record->socket == SocketState::closed) return;
  if (record->own_end != EndMark::none || has_abort(record->peer_end)) return;
  record->own_end = EndMark::fin;
  note_end(*record, client() ? Cause::client_fin : Cause::target_fin);
  if (record->peer_fin_delivered()) {
    record->socket = SocketState::closed;
    if (record->delivered != record->ack_written) ack_now(stream.slot);
  }
  schedule(stream.slot);
  if (record->data_list != DataList::interactive) note_talker(stream.slot);
}

void Link::abort(Time now, StreamHandle stream) {
  abort_stream(now, stream, client() ? Cause::client_rst : Cause::target_rst);
}

void Link::vanish(Time now, StreamHandle stream) {
  abort_stream(now, stream, client() ? Cause::client_vanished : Cause::target_vanished);
}

// Rule 9.
void Link::abort_stream(Time now, StreamHandle stream, Cause cause) {
  StreamRecord* record = find(stream);
  if (record == nullptr || record->socket == SocketState::closed) return;
  record->socket = SocketState::closed;
  // It left before anybody was told of it, and left nothing: there is nobody to tell.
  bool unheard = client() && !record->ever_sent && record->committed == 0;
  if (has_abort(record->peer_end) || unheard) return reset_stream(now, stream.slot, cause);
  record->cause = cause;
  record->own_end = with_abort(record->own_end);
  drop_queue(*record);
  account_receive(*record);
  start_linger(now, stream.slot);
  ack_now(stream.slot);
  schedule(stream.slot);
  if (record->data_list != DataList::interactive) note_talker(stream.slot);
}

void Link::reset(Time now, StreamHandle stream, Cause cause) {
  if (find(stream) != nullptr) reset_stream(now, stream.slot, cause);
}

void Link::reset_stream(Time now, SlotIndex slot, Cause cause) {
  StreamRecord& record = streams_[slot];
  if (record.reset == ResetState::waiting) return;
  record.cause = cause;
  give_up_socket(record);
  drop_log(record);
  drop_queue(record);
  record.reset = ResetState::waiting;
  account_receive(record);
  unschedule(slot);
  // Rule 10(d): the peer never saw the id.
  bool unseen = client() && record.open_state == OpenState::queued;
  if (unseen && (!record.ever_sent || sending())) return free_stream(now, slot);
  if (sending()) want_control(slot);
}

// --- To the application ---------------------------------------------------------------------

std::size_t Link::queued(StreamHandle stream, std::span<iovec> buffers) {
  StreamRecord* record = find(stream);
  if (record == nullptr || record->discarding() || record->queued_bytes() == 0) return 0;
  return view(pool_.arena, record->queue, record->delivered, buffers);
}

void Link::delivered(Time now, StreamHandle stream, std::size_t size) {
  StreamRecord* record = find(stream);
  if (record == nullptr || record->discarding() || size == 0) return;
  HOLDFAST_CHECK(size <= record->queued_bytes());
  record->delivered += size;
  record->active_at_us = now.time_since_epoch().count();
  if (pending_.slot == stream.slot) {
    HOLDFAST_CHECK(size <= pending_.bytes.size());
    pending_.bytes = pending_.bytes.subspan(size);
  } else {
    release_before(pool_.arena, record->queue, record->delivered, pinned_);
  }
  counters_.received_bytes += size;
  if (options_.trace) {
    TraceEvent event;
    event.kind = TraceEvent::Kind::delivered;
    event.id = record->id;
    event.offset = record->delivered - size;
    event.length = size;
    trace(now, event);
  }
  grow_window(now, *record);
  account_receive(*record);
  owe_ack(now, stream.slot);
  advance_delivery(stream.slot);
}

// The rest of what Deliver handed out, which the application did not take.
void Link::settle_delivery() {
  if (pending_.slot == kNoSlot) return;
  StreamRecord& record = streams_[pending_.slot];
  append(pool_.arena, record.queue, record.id, record.received - pending_.bytes.size(),
         pending_.bytes);
  pending_ = {};
}

// Tells the driver of an end mark once everything before it was taken.
void Link::advance_delivery(SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  if (record.discarding() || record.queued_bytes() != 0) return;
  if (record.open_state == OpenState::connecting) return;
  bool fin_waits = has_fin(record.peer_end) && record.delivered == record.received_bytes();
  if (fin_waits) {
    if (record.told == EndTold::none) {
      record.told = EndTold::fin;
      push(effect::DeliverFin{handle(slot)});
    }
    return;
  }
  bool abort_waits = has_abort(record.peer_end) && record.delivered + 1 == record.received;
  if (!abort_waits || record.told == EndTold::abort) return;
  record.told = EndTold::abort;
  if (record.socket == SocketState::attached) {
    push(effect::DeliverAbort{handle(slot), record.cause});
    return;
  }
  // Both directions had ended: there is nobody left to tell.
  record.delivered = record.received;
  ack_now(slot);
}

void Link::fin_delivered(Time now, StreamHandle stream) {
  StreamRecord* record = find(stream);
  if (record == nullptr || record->discarding()) return;
  HOLDFAST_CHECK(has_fin(record->peer_end) && record->delivered == record->received_bytes());
  record->delivered += 1;
  note_end(*record, client() ? Cause::target_fin : Cause::client_fin);
  // With both ends over this ack is what frees the stream. Before, it may wait for our own FIN,
  // which mostly follows at once.
  if (has_fin(record->own_end)) {
    record->socket = SocketState::closed;
    ack_now(stream.slot);
  } else {
    owe_ack(now, stream.slot);
  }
  advance_delivery(stream.slot);
  settle_connects(now);
}

void Link::abort_delivered(Time now, StreamHandle stream) {
  StreamRecord* record = find(stream);
  if (record == nullptr || record->discarding()) return;
  HOLDFAST_CHECK(has_abort(record->peer_end) && record->delivered + 1 == record->received);
  record->delivered = record->received;
  record->socket = SocketState::closed;
  ack_now(stream.slot);
  settle_connects(now);
}

// --- Ends -----------------------------------------------------------------------------------

bool Link::admit_stream() {
  if (options_.share != nullptr && !options_.share->take_stream()) return false;
  if (pool_.admit()) return true;
  if (options_.share != nullptr) options_.share->give_back_stream();
  return false;
}

void Link::leave_pool() {
  pool_.leave();
  if (options_.share != nullptr) options_.share->give_back_stream();
}

// The first end names the cause; a reset overrides it.
void Link::note_end(StreamRecord& record, Cause cause) {
  if (record.cause == Cause::none) record.cause = cause;
}

void Link::give_up_socket(StreamRecord& record) {
  if (record.socket == SocketState::closed) return;
  record.socket = SocketState::closed;
  push(effect::ResetSocket{{streams_.find(record.stream()), record.stream()}, record.cause});
}

void Link::drop_log(StreamRecord& record) {
  release_all(pool_.arena, record.log, pinned_);
  record.cursor = kNoBlock;
  account_send(record);
}

void Link::drop_queue(StreamRecord& record) {
  if (pending_.slot != kNoSlot && streams_[pending_.slot].id == record.id) pending_ = {};
  release_all(pool_.arena, record.queue, pinned_);
}

// Rule 10 (a) and (b); rule 11: nothing is freed while there is no carrier.
bool Link::maybe_free(Time now, SlotIndex slot) {
  const StreamRecord& record = streams_[slot];
  if (!sending() || record.reset == ResetState::waiting) return false;
  bool ack_out = record.ack_written >= record.delivered;
  bool both_ended = record.own_fin_acked() && !has_abort(record.own_end) &&
                    record.peer_fin_delivered() && ack_out;
  bool aborted = record.own_abort_acked() || (record.peer_abort_delivered() && ack_out);
  if (!both_ended && !aborted) return false;
  free_stream(now, slot);
  return true;
}

void Link::free_stream(Time now, SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  StreamSummary last = summary(now, record);
  unschedule(slot);
  leave_control(slot);
  if (record.ack_state == AckState::now) streams_.erase<&StreamRecord::ack>(acks_, slot);
  if (client() && record.open_state == OpenState::queued) {
    streams_.erase<&StreamRecord::control>(opens_, slot);
  }
  drop_log(record);
  drop_queue(record);
  pool_.receive.change(record.receive_shared, 0, receive_share_);
  leave_pool();
  StreamHandle ended_stream = handle(slot);
  if (incoming_.stream == ended_stream) incoming_ = {};
  TraceEvent event;
  event.kind = TraceEvent::Kind::stream_ended;
  event.id = record.id;
  event.cause = record.cause;
  trace(now, event);
  streams_.remove(slot);
  push(effect::Ended{ended_stream, last});
  settle_connects(now);
}

// What must move for an ABORT not to be given up: the peer's application taking what precedes
// ours, or our own taking what precedes the peer's.
std::uint64_t Link::linger_progress(const StreamRecord& record) {
  return has_abort(record.own_end) ? record.acked : record.delivered;
}

void Link::start_linger(Time now, SlotIndex slot) {
  streams_[slot].linger_mark = linger_progress(streams_[slot]);
  add_deadline(lingers_, slot, now + tuning::kAbortLinger);
}

// Deadlines of streams that are over go before they are many: who opens and ends streams fast
// must not fill memory with them.
void Link::add_deadline(std::deque<Deadline>& deadlines, SlotIndex slot, Time at) {
  if (deadlines.size() >= 2 * streams_.size() + kSpareDeadlines) {
    std::erase_if(deadlines, [this](const Deadline& each) { return find(each.stream) == nullptr; });
  }
  deadlines.push_back({handle(slot), at});
}

}  // namespace holdfast
