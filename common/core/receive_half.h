// ReceiveHalf: one direction of a stream, at the agent that receives it: bytes and end marks of the
// peer, until its own application has them, and the credit that the peer is granted.
//
//   0 <= ack_written <= delivered <= received
//   0 <= delivered <= received_bytes <= limit_written <= limit      (discarding: limits say 2^62)
//
// Offsets count bytes of this direction; `received` and `delivered` count end marks, too, which
// need no credit. A plain record of fixed size without pointers; the verbs keep the order above and
// what the memory is charged.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <type_traits>

#include "common/base/store_order.h"
#include "common/base/time.h"
#include "common/core/byte_queue.h"
#include "common/core/end_mark.h"
#include "common/core/memory_half.h"
#include "common/wire/constants.h"

namespace holdfast {

class ReceiveHalf {
 public:
  // --- Where it stands --------------------------------------------------------------------

  std::uint64_t received() const { return received_; }
  std::uint64_t delivered() const { return delivered_; }
  std::uint64_t limit_written() const { return limit_written_; }  // on the wire, or in a table
  std::uint64_t ack_written() const { return ack_written_; }
  std::uint32_t window() const { return window_; }  // bytes granted ahead of `delivered`
  EndMark end() const { return end_; }
  bool ended() const { return end_ != EndMark::none; }
  // The peer has aborted, and said so once: nothing of ours is sent any more.
  bool aborts() const { return has_abort(end_) || foretold_abort_; }
  // Where its first end mark stood, if a process that died has read one: nothing comes beyond it.
  std::uint64_t foretold_end() const { return foretold_end_; }
  bool mark_may_stand(std::uint64_t offset) const {
    return foretold_end_ == UINT64_MAX || foretold_end_ == offset;
  }
  // Nothing that arrives means anything any more: our application is gone.
  bool discarding() const { return discarding_; }
  std::uint64_t received_bytes() const { return received_ - mark_count(end_); }
  std::uint64_t queued_bytes() const {
    return delivered_ >= received_bytes() ? 0 : received_bytes() - delivered_;
  }
  // Everything that has come is delivered.
  bool all_delivered() const { return delivered_ == received_; }
  bool fin_delivered() const { return has_fin(end_) && delivered_ > received_bytes(); }
  bool abort_delivered() const { return has_abort(end_) && all_delivered(); }
  // What was delivered is acked, as far as this carrier goes.
  bool ack_is_out() const { return ack_written_ >= delivered_; }

  // --- Credit -----------------------------------------------------------------------------

  // A new stream's first window and, at who accepts it, the credit that the peer knows of.
  void open(std::uint64_t window, std::uint64_t granted);
  // Raises the limit to what the window and memory allow now. Never lowers it.
  void raise_limit(HalfMemory& memory);
  // What is to be announced. Rule 9: who aborts takes everything, and throws it away.
  std::uint64_t limit() const { return discarding_ ? kMaxLimit : limit_; }
  // Ack and limit are written.
  void announce();
  // A peer that has this much credit left, or less, is about to stop.
  std::uint64_t credit_left() const { return limit_written_ - std::min(limit_written_, received_); }
  // A window should hold what arrives in three round trips, or it would cap the throughput: what is
  // measured went out by credit a round trip old, and a connection that begins doubles its rate in
  // each. A queue means that the application, not the window, is what limits. Grows to `most`
  // bytes at most.
  void grow_window(Time now, Duration round_trip, std::uint64_t most);
  void shrink_window(std::uint64_t most);

  // --- From the peer ----------------------------------------------------------------------

  // Counts bytes that came within the limit; returns the offset of the first.
  std::uint64_t arrive(std::size_t size);
  // Keeps bytes that arrived from `offset` on, for the application.
  void keep(HalfMemory& memory, std::uint64_t stream, std::uint64_t offset, Bytes bytes);
  void arrive_fin(HalfMemory& memory) { arrive_mark(memory, EndMark::fin); }
  void arrive_abort(HalfMemory& memory) { arrive_mark(memory, with_abort(end_)); }

  // --- To the application -----------------------------------------------------------------

  // Views of what was kept, from the first undelivered byte on; returns how many.
  std::size_t view(BlockArena& arena, std::span<iovec> buffers) const;
  void deliver(HalfMemory& memory, std::size_t size);
  // The mark that is to be delivered next: everything before it is. Said once of each.
  EndMark tell_end();
  bool fin_is_next() const { return has_fin(end_) && delivered_ == received_bytes(); }
  bool abort_is_next() const { return has_abort(end_) && delivered_ + 1 == received_; }
  void deliver_mark();

  // --- After a death ----------------------------------------------------------------------

  // As `old` was when its process died, of which the application has `delivered` bytes; what was
  // received and not delivered is forgotten, since its peer has it. `gone`: the application's
  // socket is closed. False: `old` contradicts itself.
  bool recover(HalfMemory& memory, const ReceiveHalf& old, std::uint64_t delivered, bool gone);

  // --- Memory -----------------------------------------------------------------------------

  // Our application is gone: what waits goes, what comes is taken and thrown away.
  void discard(HalfMemory& memory);
  // The stream is over, or has nobody to deliver to: gives back what is kept, and the charge.
  void release(HalfMemory& memory);

  // CHECKs the order above; the second walks the queue, which holds all that waits but the last
  // `handed_out` bytes. For tests.
  void check() const {
    HOLDFAST_CHECK(ack_written_ <= delivered_);
    HOLDFAST_CHECK(delivered_ <= received_);
    HOLDFAST_CHECK(discarding_ || received_bytes() <= limit_written_);
    HOLDFAST_CHECK(discarding_ || limit_written_ <= limit_);
    HOLDFAST_CHECK(limit_written_ <= kMaxLimit);
  }
  void check_queue(const BlockArena& arena, std::size_t handed_out) const;

 private:
  void arrive_mark(HalfMemory& memory, EndMark end);
  void charge(HalfMemory& memory);

  std::uint64_t received_ = 0;
  std::uint64_t delivered_ = 0;
  std::uint64_t limit_ = 0;
  std::uint64_t limit_written_ = 0;
  std::uint64_t ack_written_ = 0;
  std::uint64_t shared_ = 0;  // bytes above the floor charged for the credit
  std::int64_t epoch_start_us_ = 0;
  std::uint64_t epoch_delivered_ = 0;
  ByteQueue queue_;  // bytes [delivered, received) that the application has not taken
  std::uint32_t window_ = 0;
  EndMark end_ = EndMark::none;
  EndMark told_ = EndMark::none;  // of which the application's socket was told: fin or abort
  bool discarding_ = false;
  bool foretold_abort_ = false;
  std::uint64_t foretold_end_ = UINT64_MAX;
};

static_assert(std::is_trivially_copyable_v<ReceiveHalf>);

}  // namespace holdfast
