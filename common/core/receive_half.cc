#include "common/core/receive_half.h"

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

void ReceiveHalf::open(std::uint64_t window, std::uint64_t granted) {
  window_ = static_cast<std::uint32_t>(window);
  limit_ = limit_written_ = granted;
}

void ReceiveHalf::raise_limit(HalfMemory& memory) {
  if (discarding_ || ended() || foretold_end_ != UINT64_MAX) return;
  std::uint64_t wanted = window_ - std::min<std::uint64_t>(window_, tuning::kFloor);
  std::uint64_t allowed = memory.half.allowance(shared_, memory.share);
  std::uint64_t above_floor = round_down_to_blocks(std::min(wanted, allowed));
  std::uint64_t candidate = delivered_ + tuning::kFloor + above_floor;
  if (candidate <= limit_) return;
  limit_ = std::min(candidate, kMaxLimit);
  charge(memory);
}

void ReceiveHalf::announce() {
  ack_written_ = delivered_;
  limit_written_ = std::max(limit_written_, limit());
  check();
}

void ReceiveHalf::grow_window(Time now, Duration round_trip, std::uint64_t most) {
  std::int64_t now_us = now.time_since_epoch().count();
  if (epoch_start_us_ == 0) {
    epoch_start_us_ = now_us;
    epoch_delivered_ = delivered_;
    return;
  }
  Duration elapsed(now_us - epoch_start_us_);
  round_trip = std::max(round_trip, kMinEpoch);
  if (elapsed < round_trip) return;
  // In one round trip, by the rate of this epoch: a pause within it lowers the rate.
  auto bytes = static_cast<std::uint64_t>(static_cast<double>(delivered_ - epoch_delivered_) *
                                          static_cast<double>(round_trip.count()) /
                                          static_cast<double>(elapsed.count()));
  if (queue_.blocks == 0 && bytes * 3 > window_) {
    std::uint64_t grown = std::min(std::uint64_t{window_} * 2, most);
    window_ = static_cast<std::uint32_t>(std::max<std::uint64_t>(grown, window_));
  }
  epoch_start_us_ = now_us;
  epoch_delivered_ = delivered_;
}

void ReceiveHalf::shrink_window(std::uint64_t most) {
  window_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(window_, most));
}

std::uint64_t ReceiveHalf::arrive(std::size_t size) {
  std::uint64_t offset = received_;
  received_ += size;
  check();
  return offset;
}

void ReceiveHalf::keep(HalfMemory& memory, std::uint64_t stream, std::uint64_t offset,
                       Bytes bytes) {
  append(memory.arena, queue_, stream, offset, bytes);
}

// The count before the mark: torn between them, one byte more has come, which was not delivered,
// and comes again. The other way round one byte would be taken for the mark.
void ReceiveHalf::arrive_mark(HalfMemory& memory, EndMark end) {
  received_ += 1;
  keep_store_order();
  end_ = end;
  charge(memory);
  check();
}

std::size_t ReceiveHalf::view(BlockArena& arena, std::span<iovec> buffers) const {
  return holdfast::view(arena, queue_, delivered_, buffers);
}

void ReceiveHalf::deliver(HalfMemory& memory, std::size_t size) {
  HOLDFAST_CHECK(size <= queued_bytes());
  delivered_ += size;
  keep_store_order();
  release_before(memory.arena, queue_, delivered_, memory.pinned);
  charge(memory);
  check();
}

EndMark ReceiveHalf::tell_end() {
  if (discarding_ || queued_bytes() != 0) return EndMark::none;
  EndMark due = fin_is_next() ? EndMark::fin : abort_is_next() ? EndMark::abort : EndMark::none;
  if (due == told_) return EndMark::none;
  if (due != EndMark::none) told_ = due;
  return due;
}

void ReceiveHalf::deliver_mark() {
  HOLDFAST_CHECK(fin_is_next() || abort_is_next());
  delivered_ += 1;
  check();
}

bool ReceiveHalf::recover(HalfMemory& memory, const ReceiveHalf& old, std::uint64_t delivered,
                          bool gone) {
  bool had_fin = old.fin_delivered();
  *this = old;
  queue_ = {};
  shared_ = 0;
  epoch_start_us_ = 0;
  discarding_ = false;
  delivered_ = delivered;
  // What was about to be announced, and was not.
  ack_written_ = std::min(ack_written_, delivered_);
  limit_ = std::max(limit_, limit_written_);
  bool whole = delivered_ <= received_ && limit_ <= kMaxLimit && mark_count(end_) <= received_;
  if (!whole) return false;
  if (has_abort(end_) && gone) {
    // It was told: of both ends nobody is left to be told again.
    told_ = EndMark::abort;
    delivered_ = received_;
  } else if (!abort_delivered()) {
    if (has_abort(end_)) foretold_abort_ = true;
    if (ended() && !had_fin) foretold_end_ = std::min(foretold_end_, received_bytes());
    end_ = told_ = had_fin ? EndMark::fin : EndMark::none;
    received_ = delivered_;
  }
  charge(memory);
  return received_bytes() <= limit_written_ && delivered_ >= mark_count(end_);
}

void ReceiveHalf::discard(HalfMemory& memory) {
  discarding_ = true;
  release_all(memory.arena, queue_, memory.pinned);
  charge(memory);
}

void ReceiveHalf::release(HalfMemory& memory) {
  release_all(memory.arena, queue_, memory.pinned);
  memory.half.change(shared_, 0, memory.share);
  shared_ = 0;
}

// Charges what may still arrive, and what waits.
void ReceiveHalf::charge(HalfMemory& memory) {
  std::uint64_t outstanding = 0;
  if (!discarding_ && ended()) outstanding = queued_bytes();
  // What lies beyond a mark that was read once was given to others.
  std::uint64_t end = std::max(std::min(limit_, foretold_end_), delivered_);
  if (!discarding_ && !ended()) outstanding = end - delivered_;
  std::uint64_t shared =
      outstanding <= tuning::kFloor ? 0 : round_up_to_blocks(outstanding - tuning::kFloor);
  memory.half.change(shared_, shared, memory.share);
  shared_ = shared;
}

void ReceiveHalf::check_queue(const BlockArena& arena, std::size_t handed_out) const {
  check();
  if (discarding_) {
    HOLDFAST_CHECK(queue_.head == kNoBlock && shared_ == 0);
    return;
  }
  std::uint64_t kept = queued_bytes() - handed_out;
  HOLDFAST_CHECK(handed_out <= queued_bytes());
  if (kept == 0) return;
  HOLDFAST_CHECK(queue_.head != kNoBlock);
  std::uint64_t end = arena.info(queue_.head).offset;
  HOLDFAST_CHECK(end <= delivered_);
  for (BlockIndex block = queue_.head; block != kNoBlock;) {
    const BlockInfo& info = arena.info(block);
    HOLDFAST_CHECK(info.offset == end);
    end += info.used;
    block = block == queue_.tail ? kNoBlock : info.next;
  }
  HOLDFAST_CHECK(end == delivered_ + kept);
}

}  // namespace holdfast
