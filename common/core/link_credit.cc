// Acks and credit: what a receiver promises, and what its sender makes of it.
#include <algorithm>

#include "common/core/link.h"

namespace holdfast {
namespace {

// Shortest time over which a window's need is measured.
constexpr Duration kMinEpoch = milliseconds(1);

std::uint64_t round_down_to_blocks(std::uint64_t size) {
  return size - size % tuning::kBlockSize;
}

std::uint64_t round_up_to_blocks(std::uint64_t size) {
  return round_down_to_blocks(size + tuning::kBlockSize - 1);
}

}  // namespace

// Rule 9: who aborts takes everything, and throws it away.
std::uint64_t Link::announced_limit(const StreamRecord& record) const {
  return record.discarding() ? kMaxLimit : record.limit;
}

// Raises the limit to what the window and memory allow now. Never lowers it.
void Link::refresh_limit(StreamRecord& record) {
  if (record.discarding() || record.peer_end != EndMark::none) return;
  std::uint64_t wanted = record.window - std::min<std::uint64_t>(record.window, tuning::kFloor);
  std::uint64_t allowed = pool_.receive.allowance(record.receive_shared, receive_share_);
  std::uint64_t above_floor = round_down_to_blocks(std::min(wanted, allowed));
  std::uint64_t candidate = record.delivered + tuning::kFloor + above_floor;
  if (candidate <= record.limit) return;
  record.limit = std::min(candidate, kMaxLimit);
  account_receive(record);
}

// Charges what may still arrive, and what waits, to the shared memory.
void Link::account_receive(StreamRecord& record) {
  std::uint64_t outstanding = 0;
  if (!record.discarding()) {
    outstanding =
        record.peer_end == EndMark::none ? record.limit - record.delivered : record.queued_bytes();
  }
  std::uint64_t shared =
      outstanding <= tuning::kFloor ? 0 : round_up_to_blocks(outstanding - tuning::kFloor);
  pool_.receive.change(record.receive_shared, shared, receive_share_);
  record.receive_shared = shared;
}

// A window should hold what arrives in three round trips, or it would cap the throughput: what is
// measured went out by credit a round trip old, and a connection that begins doubles its rate in
// each. A queue means that the application, not the window, is what limits.
void Link::grow_window(Time now, StreamRecord& record) {
  std::int64_t now_us = now.time_since_epoch().count();
  if (record.epoch_start_us == 0) {
    record.epoch_start_us = now_us;
    record.epoch_delivered = record.delivered;
    return;
  }
  Duration elapsed(now_us - record.epoch_start_us);
  Duration round_trip = std::max(liveness_.round_trip(), kMinEpoch);
  if (elapsed < round_trip) return;
  // In one round trip, by the rate of this epoch: a pause within it lowers the rate.
  auto bytes = static_cast<std::uint64_t>(
      static_cast<double>(record.delivered - record.epoch_delivered) *
      static_cast<double>(round_trip.count()) / static_cast<double>(elapsed.count()));
  if (record.queue.blocks == 0 && bytes * 3 > record.window) {
    std::uint64_t grown = std::min(std::uint64_t{record.window} * 2, options_.max_window);
    record.window = static_cast<std::uint32_t>(std::max<std::uint64_t>(grown, record.window));
  }
  record.epoch_start_us = now_us;
  record.epoch_delivered = record.delivered;
}

// Decides when the peer hears of what was delivered: at once for a good part of the window or
// when its credit runs low, else with the next DATA or on the timer.
void Link::owe_ack(Time now, SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  if (!sending() || record.ack_state == AckState::now) return;
  refresh_limit(record);
  std::uint64_t progress = record.delivered - record.ack_written;
  std::uint64_t limit = announced_limit(record);
  std::uint64_t credit = limit - std::min(limit, record.delivered);
  std::uint64_t window = std::min<std::uint64_t>(record.window, std::max<std::uint64_t>(credit, 1));
  std::uint64_t left = record.limit_written - std::min(record.limit_written, record.received);
  bool starving = limit > record.limit_written && left < tuning::kFloor / 2;
  if (starving || progress * tuning::kAckFraction >= window) return ack_now(slot);
  if (record.ack_state == AckState::later) return;
  if (progress == 0 && limit == record.limit_written) return;
  record.ack_state = AckState::later;
  later_acks_.push_back(slot);
  if (ack_deadline_ != kNever) return;
  Duration long_path = std::min<Duration>(liveness_.path_round_trip() / 4, tuning::kMostAckDelay);
  ack_deadline_ = now + std::max(tuning::kAckDelay, long_path);
}

void Link::ack_now(SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  // The peer does not know the stream yet; its OPEN says what there is to say.
  if (client() && record.open_state == OpenState::queued) return;
  if (!sending() || record.ack_state == AckState::now) return;
  record.ack_state = AckState::now;
  streams_.push_back<&StreamRecord::ack>(acks_, slot);
}

void Link::flush_later_acks() {
  ack_deadline_ = kNever;
  for (SlotIndex slot : later_acks_) {
    if (streams_[slot].id != 0 && streams_[slot].ack_state == AckState::later) ack_now(slot);
  }
  later_acks_.clear();
}

void Link::mark_ack_written(SlotIndex slot) {
  StreamRecord& record = streams_[slot];
  record.ack_written = record.delivered;
  record.limit_written = std::max(record.limit_written, announced_limit(record));
  if (record.ack_state == AckState::now) streams_.erase<&StreamRecord::ack>(acks_, slot);
  record.ack_state = AckState::none;
}

// An ack is held against what was written on this very carrier: honest peers cannot ack more
// (they ack what they received here, or listed as received in the table that set `next`), and
// blocks that are still to be replayed can never be freed by a word.
bool Link::take_ack(Time now, SlotIndex slot, std::uint64_t ack, std::uint64_t limit) {
  StreamRecord& record = streams_[slot];
  if (ack < record.acked || ack > record.next) return violation(now, "ack out of range");
  if (limit < record.send_limit || limit > kMaxLimit) {
    return violation(now, "limit that shrinks or is absurd");
  }
  bool more_credit = limit > record.send_limit;
  bool acked_more = ack > record.acked;
  record.send_limit = limit;
  if (acked_more) {
    record.acked = ack;
    if (record.log.head != kNoBlock) {
      release_before(pool_.arena, record.log, std::min(ack, record.committed), pinned_);
      if (record.log.head == kNoBlock) record.cursor = kNoBlock;
      account_send(record);
    }
    if (maybe_free(now, slot)) return true;
  }
  if (more_credit) schedule(slot);
  if (more_credit || acked_more) maybe_resume_reading(slot);
  return true;
}

}  // namespace holdfast
