// Which connection the server made for a stream: a mark, told once, with OPENED. It changes nothing
// of the stream, and is not told again when its carrier is lost.
#include "common/core/link.h"

namespace holdfast {

void Link::tell_origin(Time, StreamHandle stream, std::uint64_t mark) {
  StreamRecord* record = find(stream);
  if (record == nullptr || !record->opened_unsent) return;
  if (options_.mark_key != MarkKey{}) record->origin = mark;
}

// Who told no key asked for none.
void LinkBody::on_origin(Time now, const Origin& origin) {
  SlotIndex slot = kNoSlot;
  if (look_up(now, origin.id, "ORIGIN", slot) != Lookup::found) return;
  StreamRecord& record = streams_[slot];
  if (options_.mark_key == MarkKey{} || record.open_state != OpenState::open) return;
  if (record.origin != 0) return;
  record.origin = origin.mark;
  push(effect::Origin{handle(slot), origin.mark});
}

}  // namespace holdfast
