// What a link tells of itself: traces, summaries, and whether its records hold together.
#include <algorithm>
#include <utility>

#include "common/core/link.h"

namespace holdfast {

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

StreamSummary LinkBody::summary(Time now, const StreamRecord& record) const {
  StreamSummary summary;
  summary.service = record.service;
  summary.open_state = record.open_state;
  summary.own_end = record.send.end();
  summary.peer_end = record.receive.end();
  summary.cause = record.cause;
  if (record.reading == Reading::paused) {
    summary.pause = read_room(record) == 0 ? Pause::credit : Pause::memory;
  }
  summary.sent_bytes = record.send.committed();
  summary.unacked_bytes = record.send.log_bytes();
  summary.received_bytes = std::min(record.receive.delivered(), record.receive.received_bytes());
  summary.queued_bytes = record.receive.queued_bytes();
  summary.window = record.receive.window();
  summary.replayed_bytes = record.send.replayed();
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
  const StreamRecord* record = streams_.find(stream);
  return record != nullptr && record->wants_target();
}

std::vector<ServiceTally> Link::tally() const {
  std::vector<ServiceTally> tallies(options_.services.size());
  for (SlotIndex slot = 0; slot < streams_.slots(); ++slot) {
    const StreamRecord* found = streams_.used(slot);
    if (found == nullptr) continue;
    const StreamRecord& record = *found;
    ServiceTally& tally = tallies[record.service];
    bool ends = record.send.ended() || record.receive.ended();
    bool asked = record.open_state == OpenState::sent;
    bool opened = record.open_state == OpenState::open;
    (!asked && !opened ? tally.waiting
     : asked           ? tally.asked
     : ends            ? tally.closing
                       : tally.open) += 1;
    tally.sent_bytes += record.send.committed();
    tally.received_bytes += std::min(record.receive.delivered(), record.receive.received_bytes());
    tally.replayed_bytes += record.send.replayed();
  }
  return tallies;
}

void Link::check_invariants() const {
  outbox_.check();
  for (SlotIndex slot = streams_.first(); slot != kNoSlot; slot = streams_.next(slot)) {
    const StreamRecord& record = streams_[slot];
    record.send.check_log(pool_.arena);
    std::size_t handed_out = pending_.slot == slot ? pending_.bytes.size() : 0;
    record.receive.check_queue(pool_.arena, handed_out);
    bool gone = has_abort(record.send.end()) || record.reset == ResetState::waiting;
    HOLDFAST_CHECK(record.receive.discarding() == gone);
  }
}

}  // namespace holdfast
