// What the driver says about one stream, and how a stream ends.
#include <algorithm>

#include "common/base/store_order.h"
#include "common/core/link.h"

namespace holdfast {
namespace {

// Stale deadlines that are let stand before they are swept out.
constexpr std::size_t kSpareDeadlines = 64;

}  // namespace

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
  SlotIndex slot = streams_.take();
  StreamRecord& record = streams_[slot];
  record.service = request.service;
  record.source = request.source;
  record.destination = request.destination;
  record.own(request.socket);
  record.opened_at_us = now.time_since_epoch().count();
  record.receive.open(std::min(tuning::kInitialWindow, options_.max_window), 0);
  record.receive.raise_limit(receive_memory_);
  last_id_.value += 1;
  streams_.add(slot, last_id_);
  outbox_.add_open(slot);
  add_deadline(open_deadlines_, slot, now);  // with open_timeout as it is then
  trace_.note(now, TraceEvent::Kind::stream_open, last_id_.value);
  return handle(slot);
}

void Link::opened(Time, StreamHandle stream) {
  StreamRecord* record = find(stream);
  if (record == nullptr || record->open_state != OpenState::connecting) return;
  if (record->reset == ResetState::waiting) return;
  record->open_state = OpenState::open;
  if (sending()) {
    record->opened_unsent = true;
    outbox_.add_control(stream.slot);
  }
  advance_delivery(stream.slot);
}

void Link::attach(StreamHandle stream, const SocketFacts& socket) {
  if (StreamRecord* record = find(stream); record != nullptr) record->own(socket);
}

void Link::detach(StreamHandle stream, int descriptor) {
  StreamRecord* record = streams_.place(stream.slot);
  if (record == nullptr || record->descriptor() != descriptor) return;
  record->descriptor_and_one = 0;
  keep_store_order();
}

void Link::latch(StreamHandle stream) {
  if (StreamRecord* record = find(stream); record != nullptr) record->latched = true;
  keep_store_order();
}

// --- From the application -------------------------------------------------------------------

// Bytes that may be read from the application now, by credit and age; memory is another matter.
std::uint64_t LinkBody::read_room(const StreamRecord& record) const {
  if (record.send.ended() || record.receive.aborts()) return 0;
  if (record.reset == ResetState::waiting) return 0;
  std::uint64_t room = record.send.credit_room();
  if (sending()) {
    std::uint64_t unsent = record.send.unsent_bytes();
    room = std::min(room, tuning::kMaxUnsent - std::min(tuning::kMaxUnsent, unsent));
  }
  return room;
}

std::size_t Link::prepare(StreamHandle stream, std::size_t want, std::span<iovec> buffers) {
  StreamRecord* record = find(stream);
  if (record == nullptr) return 0;
  std::uint64_t by_credit = read_room(*record);
  std::uint64_t room = std::min(by_credit, record->send.memory_room(send_memory_));
  if (room == 0) {
    if (record->reading == Reading::running) {
      (by_credit == 0 ? counters_.pauses_credit : counters_.pauses_memory) += 1;
    }
    record->reading = Reading::paused;
    return 0;
  }
  auto size = static_cast<std::size_t>(std::min<std::uint64_t>(room, want));
  record->offered = size;
  return record->send.prepare(send_memory_, record->id, size, buffers);
}

void Link::commit(Time now, StreamHandle stream, std::size_t size) {
  StreamRecord* record = find(stream);
  if (record == nullptr) return;
  record->send.commit(send_memory_, size);
  order_.note_read(now, stream.slot, size);
  if (size == 0) return;
  counters_.sent_bytes += size;
  record->active_at_us = now.time_since_epoch().count();
  schedule(stream.slot);
}

void LinkBody::maybe_resume_reading(SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  if (record.reading == Reading::running || record.socket == SocketState::closed) return;
  std::uint64_t room = std::min(read_room(record), record.send.memory_room(send_memory_));
  // Wake for something worth a read, or when nothing is left that could wake us later.
  if (room < 4 * tuning::kBlockSize && (room == 0 || record.send.log_bytes() != 0)) return;
  record.reading = Reading::running;
  push(effect::ResumeReading{handle(slot)});
}

void Link::finish(Time, StreamHandle stream) {
  StreamRecord* record = find(stream);
  if (record == nullptr || record->socket == SocketState::closed) return;
  if (record->send.ended() || record->receive.aborts()) return;
  record->send.finish();
  note_end(*record, client() ? Cause::client_fin : Cause::target_fin);
  if (record->receive.fin_delivered()) {
    record->socket = SocketState::closed;
    if (!record->receive.ack_is_out()) ack_now(stream.slot);
  }
  schedule(stream.slot);
  if (record->data_list != DataList::interactive) order_.note_talker(stream.slot);
}

void Link::abort(Time now, StreamHandle stream) {
  abort_stream(now, stream, client() ? Cause::client_rst : Cause::target_rst);
}

void Link::vanish(Time now, StreamHandle stream) {
  abort_stream(now, stream, client() ? Cause::client_vanished : Cause::target_vanished);
}

// Rule 9.
void LinkBody::abort_stream(Time now, StreamHandle stream, Cause cause) {
  StreamRecord* record = find(stream);
  if (record == nullptr || record->socket == SocketState::closed) return;
  record->socket = SocketState::closed;
  // It left before anybody was told of it, and left nothing: there is nobody to tell.
  bool unheard = client() && !record->ever_sent && record->send.committed() == 0;
  if (record->receive.aborts() || unheard) return reset_stream(now, stream.slot, cause);
  record->cause = cause;
  record->send.abort();
  keep_store_order();
  discard(*record);
  start_linger(now, stream.slot);
  ack_now(stream.slot);
  schedule(stream.slot);
  if (record->data_list != DataList::interactive) order_.note_talker(stream.slot);
}

void Link::reset(Time now, StreamHandle stream, Cause cause) {
  if (find(stream) != nullptr) reset_stream(now, stream.slot, cause);
}

void LinkBody::reset_stream(Time now, SlotIndex slot, Cause cause) {
  StreamRecord& record = streams_[slot];
  if (record.reset == ResetState::waiting) return;
  record.cause = cause;
  give_up_socket(record);
  record.reset = ResetState::waiting;
  keep_store_order();
  record.send.drop(send_memory_);
  discard(record);
  outbox_.remove_data(slot);
  // Rule 10(d): the peer never saw the id.
  bool unseen = client() && record.open_state == OpenState::queued;
  if (unseen && (!record.ever_sent || sending())) return free_stream(now, slot);
  if (sending()) outbox_.add_control(slot);
}

// --- To the application ---------------------------------------------------------------------

std::size_t Link::queued(StreamHandle stream, std::span<iovec> buffers) {
  StreamRecord* record = find(stream);
  if (record == nullptr || record->receive.discarding() || record->receive.queued_bytes() == 0)
    return 0;
  return record->receive.view(pool_.arena, buffers);
}

void Link::delivered(Time now, StreamHandle stream, std::size_t size) {
  StreamRecord* record = find(stream);
  if (record == nullptr || record->receive.discarding() || size == 0) return;
  record->receive.deliver(receive_memory_, size);
  record->active_at_us = now.time_since_epoch().count();
  if (pending_.slot == stream.slot) {
    HOLDFAST_CHECK(size <= pending_.bytes.size());
    pending_.bytes = pending_.bytes.subspan(size);
  }
  counters_.received_bytes += size;
  trace_.delivered(now, record->id, record->receive.delivered() - size, size);
  record->receive.grow_window(now, liveness_.round_trip(), options_.max_window);
  owe_ack(now, stream.slot);
  advance_delivery(stream.slot);
}

// The rest of what Deliver handed out, which the application did not take.
void LinkBody::settle_delivery() {
  if (pending_.slot == kNoSlot) return;
  StreamRecord& record = streams_[pending_.slot];
  record.receive.keep(receive_memory_, record.id, record.receive.received() - pending_.bytes.size(),
                      pending_.bytes);
  pending_ = {};
}

// Tells the driver of an end mark once everything before it was taken.
void LinkBody::advance_delivery(SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  if (record.open_state == OpenState::connecting) return;
  EndMark due = record.receive.tell_end();
  if (due == EndMark::fin) return push(effect::DeliverFin{handle(slot)});
  if (due == EndMark::none) return;
  if (record.socket == SocketState::attached) {
    push(effect::DeliverAbort{handle(slot), record.cause});
    return;
  }
  // Both directions had ended: there is nobody left to tell.
  record.receive.deliver_mark();
  ack_now(slot);
}

void Link::fin_delivered(Time now, StreamHandle stream) {
  StreamRecord* record = find(stream);
  if (record == nullptr || record->receive.discarding()) return;
  HOLDFAST_CHECK(record->receive.fin_is_next());
  record->receive.deliver_mark();
  note_end(*record, client() ? Cause::target_fin : Cause::client_fin);
  // With both ends over this ack is what frees the stream. Before, it may wait for our own FIN,
  // which mostly follows at once.
  if (has_fin(record->send.end())) {
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
  if (record == nullptr || record->receive.discarding()) return;
  HOLDFAST_CHECK(record->receive.abort_is_next());
  record->receive.deliver_mark();
  record->socket = SocketState::closed;
  ack_now(stream.slot);
  settle_connects(now);
}

void LinkBody::settle_connects(Time now) {
  for (const StreamHandle& each : order_.settle_connects(now)) push(effect::ConnectTarget{each});
}

// --- Ends -----------------------------------------------------------------------------------

bool LinkBody::admit_stream() {
  if (options_.share != nullptr && !options_.share->take_stream()) return false;
  if (pool_.admit()) return true;
  if (options_.share != nullptr) options_.share->give_back_stream();
  return false;
}

void LinkBody::leave_pool() {
  pool_.leave();
  if (options_.share != nullptr) options_.share->give_back_stream();
}

// The first end names the cause; a reset overrides it.
void LinkBody::note_end(StreamRecord& record, Cause cause) {
  if (record.cause == Cause::none) record.cause = cause;
}

void LinkBody::give_up_socket(StreamRecord& record) {
  if (record.socket == SocketState::closed) return;
  record.socket = SocketState::closed;
  push(effect::ResetSocket{{streams_.find(record.stream()), record.stream()}, record.cause});
}

// Nothing that arrives means anything any more.
void LinkBody::discard(StreamRecord& record) {
  forget_pending(record);
  record.receive.discard(receive_memory_);
}

void LinkBody::release_memory(StreamRecord& record) {
  forget_pending(record);
  record.send.drop(send_memory_);
  record.receive.release(receive_memory_);
}

void LinkBody::forget_pending(const StreamRecord& record) {
  if (pending_.slot != kNoSlot && streams_[pending_.slot].id == record.id) pending_ = {};
}

// Rule 10 (a) and (b); rule 11: nothing is freed while there is no carrier.
bool LinkBody::maybe_free(Time now, SlotIndex slot) {
  const StreamRecord& record = streams_[slot];
  if (!sending() || record.reset == ResetState::waiting) return false;
  const ReceiveHalf& receive = record.receive;
  bool both_ended = record.send.fin_acked() && !has_abort(record.send.end()) &&
                    receive.fin_delivered() && receive.ack_is_out();
  bool aborted = record.send.abort_acked() || (receive.abort_delivered() && receive.ack_is_out());
  if (!both_ended && !aborted) return false;
  free_stream(now, slot);
  return true;
}

void LinkBody::free_stream(Time now, SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  StreamSummary last = summary(now, record);
  outbox_.remove(slot);
  StreamHandle ended_stream = handle(slot);
  if (incoming_.stream == ended_stream) incoming_ = {};
  trace_.note(now, TraceEvent::Kind::stream_ended, record.id, record.cause);
  streams_.hide(slot);  // before its log goes: else it would seem to have lost it
  keep_store_order();
  release_memory(record);
  leave_pool();
  streams_.remove(slot);
  push(effect::Ended{ended_stream, last});
  settle_connects(now);
}

// What must move for an ABORT not to be given up: the peer's application taking what precedes
// ours, or our own taking what precedes the peer's.
std::uint64_t LinkBody::linger_progress(const StreamRecord& record) {
  return has_abort(record.send.end()) ? record.send.acked() : record.receive.delivered();
}

void LinkBody::start_linger(Time now, SlotIndex slot) {
  streams_[slot].linger_mark = linger_progress(streams_[slot]);
  add_deadline(lingers_, slot, now + tuning::kAbortLinger);
}

// Deadlines of streams that are over go before they are many: who opens and ends streams fast
// must not fill memory with them.
void LinkBody::add_deadline(std::deque<Deadline>& deadlines, SlotIndex slot, Time at) {
  if (deadlines.size() >= 2 * streams_.size() + kSpareDeadlines) {
    std::erase_if(deadlines, [this](const Deadline& each) { return find(each.stream) == nullptr; });
  }
  deadlines.push_back({handle(slot), at});
}

}  // namespace holdfast
