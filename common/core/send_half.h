// SendHalf: one direction of a stream, at the agent that sends it: bytes from its application, kept
// until the peer's application has them, and after the bytes its end marks.
//
//   0 <= acked <= next <= sent <= sequence_end
//          |        |       |       `- bytes committed, and marks
//          |        |       `- highest ever taken for any carrier
//          |        `- next to take for this carrier
//          `- written to the peer's application
//
// Offsets count bytes of this direction, end marks included. A plain record of fixed size without
// pointers; the verbs keep the order above and what the memory is charged.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <type_traits>

#include "common/base/store_order.h"
#include "common/core/byte_queue.h"
#include "common/core/end_mark.h"
#include "common/core/memory_half.h"
#include "common/wire/constants.h"

namespace holdfast {

class OldState;

class SendHalf {
 public:
  // --- Where it stands --------------------------------------------------------------------

  std::uint64_t acked() const { return acked_; }
  std::uint64_t next() const { return next_; }
  std::uint64_t sent() const { return sent_; }
  std::uint64_t committed() const { return committed_; }  // bytes taken from the application
  std::uint64_t limit() const { return limit_; }          // the peer's
  std::uint64_t replayed() const { return replayed_; }    // bytes taken again, for another carrier
  EndMark end() const { return end_; }
  bool ended() const { return end_ != EndMark::none; }
  std::uint64_t sequence_end() const { return committed_ + mark_count(end_); }
  bool fin_acked() const { return has_fin(end_) && acked_ > committed_; }
  bool abort_acked() const { return has_abort(end_) && acked_ == sequence_end(); }
  std::uint64_t log_bytes() const { return acked_ >= committed_ ? 0 : committed_ - acked_; }
  std::uint64_t unsent_bytes() const { return next_ >= committed_ ? 0 : committed_ - next_; }
  // Everything, marks included, was taken for this carrier.
  bool all_taken() const { return next_ >= sequence_end(); }
  // There are bytes within the peer's limit to take, or marks after the last byte.
  bool sendable() const { return next_ < committed_ ? next_ < limit_ : next_ < sequence_end(); }
  // Bytes that may be taken now.
  std::uint64_t ready_bytes() const {
    std::uint64_t end = std::min(committed_, limit_);
    return end - std::min(end, next_);
  }

  // --- From the application ---------------------------------------------------------------

  // Bytes that may be read by the peer's credit, and a little ahead of it.
  std::uint64_t credit_room() const;
  // Bytes that memory allows beyond the last one.
  std::uint64_t memory_room(const HalfMemory& memory) const;
  // Opens room for `size` bytes: fills `buffers`, returns how many. commit() must follow.
  std::size_t prepare(HalfMemory& memory, std::uint64_t stream, std::size_t size,
                      std::span<iovec> buffers);
  void commit(HalfMemory& memory, std::size_t size);
  void finish() { mark(EndMark::fin); }
  void abort() { mark(with_abort(end_)); }

  // --- To a carrier -----------------------------------------------------------------------

  // Takes the next `size` bytes, which must be there: calls visit(BlockIndex, skip, size) for each
  // piece of a block. Returns how many of them were taken before.
  template <typename Visit>
  std::uint64_t take(BlockArena& arena, std::size_t size, Visit visit);
  // Is the mark at `next` FIN (else ABORT)? Where one is due: all bytes are taken, not all marks.
  bool fin_is_next() const { return has_fin(end_) && next_ == committed_; }
  void take_mark();

  // --- From the peer ----------------------------------------------------------------------

  // A peer acks at most what was taken for this very carrier: what it received here, or listed
  // as received in the table that set `next`. So blocks that are to be sent again stay.
  bool takes_ack(std::uint64_t ack) const { return ack >= acked_ && ack <= next_; }
  void ack(HalfMemory& memory, std::uint64_t ack);
  bool takes_limit(std::uint64_t limit) const { return limit >= limit_ && limit <= kMaxLimit; }
  void grant(std::uint64_t limit) { limit_ = limit; }
  // What a resume says the peer has delivered and received.
  bool takes_position(std::uint64_t delivered, std::uint64_t received) const {
    return delivered >= acked_ && received >= delivered && received <= sent_;
  }
  // Goes on from what the peer has received.
  void rewind(HalfMemory& memory, std::uint64_t delivered, std::uint64_t received);
  // The peer never heard of the stream: from the first byte on, without credit.
  void start_over();

  // --- After a death ----------------------------------------------------------------------

  // As `old` was when its process died, but that it had read `committed` bytes. `dropped`: its
  // bytes are wanted no more; else they are copied out of `state`, where blocks name `stream` or
  // `former`. False: `old` contradicts itself, or bytes are missing.
  bool recover(HalfMemory& memory, const SendHalf& old, const OldState& state, std::uint64_t stream,
               std::uint64_t former, std::uint64_t committed, bool dropped);

  // Nothing of it was ever written to a carrier, whatever was taken for one.
  void unsend() { next_ = sent_ = limit_ = 0; }

  // --- Memory -----------------------------------------------------------------------------

  // Its bytes are wanted no more; the offsets stay.
  void drop(HalfMemory& memory);
  // Takes bytes and end of `old`, of which nothing was ever taken, for another stream of the same
  // pool. The blocks stay where they are, and name the old one until relabel(). Then forget_log()
  // of the old one, which is over.
  void adopt(HalfMemory& memory, const SendHalf& old);
  void relabel(BlockArena& arena, std::uint64_t stream);
  void forget_log(HalfMemory& memory);

  // CHECKs the order of offsets, and with the arena that the log holds every byte that may have to
  // be sent again, if it was not dropped. For tests: the second walks the log.
  void check() const {
    HOLDFAST_CHECK(acked_ <= next_);
    HOLDFAST_CHECK(next_ <= sent_);
    HOLDFAST_CHECK(sent_ <= sequence_end());
  }
  void check_log(const BlockArena& arena) const;

 private:
  // Before anything of it is taken for a carrier.
  void mark(EndMark end) {
    end_ = end;
    keep_store_order();
  }
  void charge(HalfMemory& memory);

  std::uint64_t acked_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t committed_ = 0;
  std::uint64_t limit_ = 0;
  std::uint64_t shared_ = 0;  // bytes of blocks above the floor, as charged
  std::uint64_t replayed_ = 0;
  ByteQueue log_;                 // bytes [acked, committed), from a block boundary on
  BlockIndex cursor_ = kNoBlock;  // the block of `next`, or kNoBlock: look from the head
  EndMark end_ = EndMark::none;
};

static_assert(std::is_trivially_copyable_v<SendHalf>);

template <typename Visit>
std::uint64_t SendHalf::take(BlockArena& arena, std::size_t size, Visit visit) {
  std::uint64_t from = next_;
  if (cursor_ == kNoBlock) cursor_ = find_block(arena, log_, kNoBlock, next_);
  while (size != 0) {
    HOLDFAST_CHECK(cursor_ != kNoBlock);
    const BlockInfo& info = arena.info(cursor_);
    auto skip = static_cast<std::size_t>(next_ - info.offset);
    std::size_t piece = std::min(size, info.used - skip);
    visit(cursor_, skip, piece);
    next_ += piece;
    size -= piece;
    // A full block is done with; the last one may still be written to.
    if (skip + piece == tuning::kBlockSize) cursor_ = info.next;
  }
  std::uint64_t again = std::min(sent_, next_) - std::min(sent_, from);
  replayed_ += again;
  sent_ = std::max(sent_, next_);
  check();
  return again;
}

}  // namespace holdfast
