// Acks and credit: what a receiver promises, and what its sender makes of it.
#include <algorithm>

#include "common/core/link.h"

namespace holdfast {

// Decides when the peer hears of what was delivered: at once for a good part of the window or
// when its credit runs low, else with the next DATA or on the timer.
void LinkBody::owe_ack(Time now, SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  if (!sending() || record.ack_state == AckState::now) return;
  ReceiveHalf& receive = record.receive;
  receive.raise_limit(receive_memory_);
  std::uint64_t progress = receive.delivered() - receive.ack_written();
  std::uint64_t limit = receive.limit();
  std::uint64_t credit = limit - std::min(limit, receive.delivered());
  std::uint64_t window =
      std::min<std::uint64_t>(receive.window(), std::max<std::uint64_t>(credit, 1));
  bool starving = limit > receive.limit_written() && receive.credit_left() < tuning::kFloor / 2;
  if (starving || progress * tuning::kAckFraction >= window) return ack_now(slot);
  if (record.ack_state == AckState::later) return;
  if (progress == 0 && limit == receive.limit_written()) return;
  Duration long_path = std::min<Duration>(liveness_.path_round_trip() / 4, tuning::kMostAckDelay);
  outbox_.add_later_ack(slot, now + std::max(tuning::kAckDelay, long_path));
}

void LinkBody::ack_now(SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  // The peer does not know the stream yet; its OPEN says what there is to say.
  if (client() && record.open_state == OpenState::queued) return;
  if (sending()) outbox_.add_ack(slot);
}

// Ack and limit go out in the frame that is being made.
void LinkBody::announce(SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  record.receive.raise_limit(receive_memory_);
  record.receive.announce();
  outbox_.remove_ack(slot);
}

bool LinkBody::take_ack(Time now, SlotIndex slot, std::uint64_t ack, std::uint64_t limit) {
  StreamRecord& record = streams_[slot];
  if (!record.send.takes_ack(ack)) return violated(now, "ack out of range");
  if (!record.send.takes_limit(limit)) return violated(now, "limit that shrinks or is absurd");
  bool more_credit = limit > record.send.limit();
  bool acked_more = ack > record.send.acked();
  record.send.grant(limit);
  if (acked_more) {
    record.send.ack(send_memory_, ack);
    if (maybe_free(now, slot)) return true;
  }
  if (more_credit) schedule(slot);
  if (more_credit || acked_more) maybe_resume_reading(slot);
  return true;
}

}  // namespace holdfast
