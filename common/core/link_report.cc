// What a link tells of itself: traces, summaries, and whether its records hold together.
#include <algorithm>
#include <utility>

#include "common/core/link.h"

namespace holdfast {

void Link::add_frame_trace(Time now, TraceEvent::Kind kind, FrameType type, std::uint64_t stream,
                           std::uint64_t offset, std::uint64_t length) {
  TraceEvent event;
  event.kind = kind;
  event.frame = type;
  event.id = stream;
  event.offset = offset;
  event.length = length;
  add_trace(now, event);
}

void Link::add_trace(Time now, TraceEvent event) {
  if (trace_.size() >= tuning::kMaxTraceEvents) return;  // nobody takes them
  event.at = now;
  trace_.push_back(event);
}

std::vector<TraceEvent> Link::take_trace() {
  return std::exchange(trace_, {});
}

std::string_view to_string(Pause pause) {
  switch (pause) {
    case Pause::none:
      return "none";
    case Pause::credit:
      return "credit";
    case Pause::memory:
      return "memory";
  }
  return "invalid";
}

StreamSummary Link::summary(Time now, const StreamRecord& record) const {
  StreamSummary summary;
  summary.service = record.service;
  summary.open_state = record.open_state;
  summary.own_end = record.own_end;
  summary.peer_end = record.peer_end;
  summary.cause = record.cause;
  if (record.reading == Reading::paused) {
    summary.pause = read_room(record) == 0 ? Pause::credit : Pause::memory;
  }
  summary.sent_bytes = record.committed;
  summary.unacked_bytes = record.log_bytes();
  summary.received_bytes = std::min(record.delivered, record.received_bytes());
  summary.queued_bytes = record.queued_bytes();
  summary.window = record.window;
  summary.replayed_bytes = record.replayed;
  summary.resumes = record.resumes;
  summary.age = now - Time(Duration(record.opened_at_us));
  summary.idle = now - Time(Duration(std::max(record.opened_at_us, record.active_at_us)));
  summary.detached = Duration(record.detached_us);
  if (lost_since_ != kNever) summary.detached += now - lost_since_;
  summary.source = record.source;
  summary.destination = record.destination;
  return summary;
}

std::optional<StreamSummary> Link::find_stream(Time now, StreamId id, StreamHandle* handle) const {
  SlotIndex slot = streams_.find(id);
  if (slot == kNoSlot) return std::nullopt;
  if (handle != nullptr) *handle = {slot, id};
  return summary(now, streams_[slot]);
}

bool Link::wants_target(StreamHandle stream) const {
  if (stream.slot >= streams_.slots() || streams_[stream.slot].id != stream.id.value) return false;
  const StreamRecord& record = streams_[stream.slot];
  return record.open_state == OpenState::connecting && record.socket == SocketState::attached;
}

std::vector<ServiceTally> Link::tally() const {
  std::vector<ServiceTally> tallies(options_.services.size());
  for (SlotIndex slot = 0; slot < streams_.slots(); ++slot) {
    const StreamRecord& record = streams_[slot];
    if (record.id == 0) continue;
    ServiceTally& tally = tallies[record.service];
    bool ends = record.own_end != EndMark::none || record.peer_end != EndMark::none;
    bool asked = record.open_state == OpenState::sent;
    bool opened = record.open_state == OpenState::open;
    (!asked && !opened ? tally.waiting
     : asked           ? tally.asked
     : ends            ? tally.closing
                       : tally.open) += 1;
    tally.sent_bytes += record.committed;
    tally.received_bytes += std::min(record.delivered, record.received_bytes());
    tally.replayed_bytes += record.replayed;
  }
  return tallies;
}

void Link::check_invariants() const {
  for (SlotIndex slot = streams_.first(); slot != kNoSlot; slot = streams_.next(slot)) {
    const StreamRecord& r = streams_[slot];
    HOLDFAST_CHECK(r.acked <= r.next && r.next <= r.sent);
    HOLDFAST_CHECK(r.sent <= r.sequence_end());
    HOLDFAST_CHECK(r.delivered <= r.received);
    HOLDFAST_CHECK(r.limit_written <= kMaxLimit);
    HOLDFAST_CHECK(r.ack_written <= r.delivered);
    bool queue_needed = r.queued_bytes() != 0 && !r.discarding() && pending_.slot != slot;
    HOLDFAST_CHECK(!queue_needed || r.queue.head != kNoBlock);
    HOLDFAST_CHECK(r.log.blocks <= tuning::kFloorBlocks || r.send_shared != 0);
  }
}

}  // namespace holdfast
