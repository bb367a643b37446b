// Client: what holds a link to its server, and streams that nobody has heard of, moving to another
// link.
#include <algorithm>
#include <utility>

#include "common/core/link.h"

namespace holdfast {

bool Link::bound() const {
  for (SlotIndex slot = streams_.first(); slot != kNoSlot; slot = streams_.next(slot)) {
    const StreamRecord& record = streams_[slot];
    if (record.ever_sent && record.reset != ResetState::waiting) return true;
  }
  return false;
}

std::vector<StreamHandle> Link::unwritten() const {
  std::vector<StreamHandle> found;
  for (SlotIndex slot = streams_.first(); slot != kNoSlot; slot = streams_.next(slot)) {
    if (!streams_[slot].ever_sent) found.push_back(handle(slot));
  }
  return found;
}

std::optional<StreamHandle> Link::take_over(Time now, Link& from, StreamHandle stream) {
  HOLDFAST_CHECK(client() && from.client() && this != &from && &pool_ == &from.pool_);
  StreamRecord* old = from.find(stream);
  if (old == nullptr || old->ever_sent || ended() || leaving()) return std::nullopt;
  auto service = find_service(from.options_.services[old->service].name);
  bool room = streams_.size() < std::min(options_.max_streams, peer_max_streams_);
  if (!service || !room) return std::nullopt;
  last_id_.value += 1;
  SlotIndex slot = streams_.add(last_id_);
  StreamRecord& record = streams_[slot];
  record.service = *service;
  record.source = old->source;
  record.destination = old->destination;
  record.opened_at_us = old->opened_at_us;
  record.active_at_us = old->active_at_us;
  record.own_end = old->own_end;
  record.socket = old->socket;
  record.reading = old->reading;
  record.drained = old->drained;
  record.read_at_us = old->read_at_us;
  record.burst = old->burst;
  record.cause = old->cause;
  record.window = tuning::kInitialWindow;
  take_bytes(record, from, *old);
  from.forget_moved(stream.slot);
  refresh_limit(record);
  streams_.push_back<&StreamRecord::control>(opens_, slot);
  add_deadline(open_deadlines_, slot, Time(Duration(record.opened_at_us)));
  if (has_abort(record.own_end)) start_linger(now, slot);
  TraceEvent event;
  event.kind = TraceEvent::Kind::stream_open;
  event.id = last_id_.value;
  trace(now, event);
  return handle(slot);
}

// The blocks stay where they are, and are ours from now on.
void Link::take_bytes(StreamRecord& record, Link& from, StreamRecord& old) {
  record.committed = old.committed;
  record.log = std::exchange(old.log, {});
  for (BlockIndex block = record.log.head; block != kNoBlock;) {
    BlockInfo& info = pool_.arena.info(block);
    info.stream = record.id;
    block = block == record.log.tail ? kNoBlock : info.next;
  }
  record.cursor = record.log.head;
  from.account_send(old);
  account_send(record);
  counters_.sent_bytes += record.committed;
  from.counters_.sent_bytes -= record.committed;
}

// Its seat in the pool went with it, and its application does not hear of it.
void Link::forget_moved(SlotIndex slot) {
  streams_.erase<&StreamRecord::control>(opens_, slot);
  StreamRecord& record = streams_[slot];
  pool_.receive.change(record.receive_shared, 0, receive_share_);
  drop_queue(record);
  streams_.remove(slot);
}

}  // namespace holdfast
