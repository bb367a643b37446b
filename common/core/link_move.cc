// Client: what holds a link to its server, and streams that nobody has heard of, moving to another
// link.
#include <algorithm>
#include <utility>

#include "common/base/store_order.h"
#include "common/core/link.h"

namespace holdfast {

bool LinkBody::bound() const {
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
  SlotIndex slot = streams_.take();
  StreamRecord& record = streams_[slot];
  record.service = *service;
  record.source = old->source;
  record.destination = old->destination;
  record.opened_at_us = old->opened_at_us;
  record.active_at_us = old->active_at_us;
  record.socket = old->socket;
  record.reading = old->reading;
  record.drained = old->drained;
  record.read_at_us = old->read_at_us;
  record.burst = old->burst;
  record.cause = old->cause;
  record.send.adopt(send_memory_, old->send);
  record.former = old->id;
  record.latched = old->latched;
  record.own({old->descriptor(), old->read_before, old->written_before});
  counters_.sent_bytes += record.send.committed();
  from.counters_.sent_bytes -= record.send.committed();
  record.receive.open(std::min(tuning::kInitialWindow, options_.max_window), 0);
  if (has_abort(record.send.end())) record.receive.discard(receive_memory_);
  record.receive.raise_limit(receive_memory_);
  // From here on both have it, and then this one alone.
  streams_.add(slot, last_id_);
  keep_store_order();
  from.forget_moved(stream.slot);
  record.send.relabel(pool_.arena, last_id_.value);
  keep_store_order();
  record.former = 0;
  outbox_.add_open(slot);
  add_deadline(open_deadlines_, slot, Time(Duration(record.opened_at_us)));
  if (has_abort(record.send.end())) start_linger(now, slot);
  trace_.note(now, TraceEvent::Kind::stream_open, last_id_.value);
  return handle(slot);
}

// Its seat in the pool went with it, and its application does not hear of it.
void LinkBody::forget_moved(SlotIndex slot) {
  outbox_.remove_open(slot);
  StreamRecord& record = streams_[slot];
  record.descriptor_and_one = 0;
  streams_.hide(slot);
  record.send.forget_log(send_memory_);
  release_memory(record);
  streams_.remove(slot);
}

}  // namespace holdfast
