#include "common/core/send_half.h"

#include "common/core/old_state.h"

namespace holdfast {

std::uint64_t SendHalf::credit_room() const {
  std::uint64_t credit = limit_ - std::min(limit_, acked_);
  std::uint64_t target = std::max(tuning::kReadAhead, credit);
  return target - std::min(target, log_bytes());
}

std::uint64_t SendHalf::memory_room(const HalfMemory& memory) const {
  std::uint64_t allowed =
      tuning::kFloorBlocks + memory.half.allowance(shared_, memory.share) / tuning::kBlockSize;
  std::uint64_t room = log_.blocks >= allowed ? 0 : (allowed - log_.blocks) * tuning::kBlockSize;
  if (log_.tail != kNoBlock) room += tuning::kBlockSize - memory.arena.info(log_.tail).used;
  return room;
}

std::size_t SendHalf::prepare(HalfMemory& memory, std::uint64_t stream, std::size_t size,
                              std::span<iovec> buffers) {
  return prepare_room(memory.arena, log_, stream, committed_, size, buffers);
}

void SendHalf::commit(HalfMemory& memory, std::size_t size) {
  BlockIndex tail = log_.tail;
  bool room_in_tail = tail != kNoBlock && memory.arena.info(tail).used < tuning::kBlockSize;
  commit_room(memory.arena, log_, size);
  charge(memory);
  if (size == 0) return;
  if (cursor_ == kNoBlock && next_ == committed_) {
    cursor_ = tail == kNoBlock ? log_.head : room_in_tail ? tail : memory.arena.info(tail).next;
  }
  keep_store_order();
  committed_ += size;
  check();
}

void SendHalf::take_mark() {
  HOLDFAST_CHECK(next_ >= committed_ && next_ < sequence_end());
  next_ += 1;
  sent_ = std::max(sent_, next_);
  check();
}

void SendHalf::ack(HalfMemory& memory, std::uint64_t ack) {
  acked_ = ack;
  check();
  if (log_.head == kNoBlock) return;
  keep_store_order();
  release_before(memory.arena, log_, std::min(ack, committed_), memory.pinned);
  if (log_.head == kNoBlock) cursor_ = kNoBlock;
  charge(memory);
}

void SendHalf::rewind(HalfMemory& memory, std::uint64_t delivered, std::uint64_t received) {
  next_ = received;
  cursor_ = kNoBlock;
  ack(memory, delivered);
}

void SendHalf::start_over() {
  HOLDFAST_CHECK(acked_ == 0);
  next_ = 0;
  limit_ = 0;
  cursor_ = kNoBlock;
}

void SendHalf::drop(HalfMemory& memory) {
  release_all(memory.arena, log_, memory.pinned);
  cursor_ = kNoBlock;
  charge(memory);
}

void SendHalf::adopt(HalfMemory& memory, const SendHalf& old) {
  HOLDFAST_CHECK(sent_ == 0 && committed_ == 0 && old.sent_ == 0);
  log_ = old.log_;
  cursor_ = log_.head;
  committed_ = old.committed_;
  end_ = old.end_;
  charge(memory);
}

void SendHalf::relabel(BlockArena& arena, std::uint64_t stream) {
  for (BlockIndex block = log_.head; block != kNoBlock;) {
    BlockInfo& info = arena.info(block);
    info.stream = stream;
    block = block == log_.tail ? kNoBlock : info.next;
  }
}

void SendHalf::forget_log(HalfMemory& memory) {
  log_ = {};
  cursor_ = kNoBlock;
  charge(memory);
}

bool SendHalf::recover(HalfMemory& memory, const SendHalf& old, const OldState& state,
                       std::uint64_t stream, std::uint64_t former, std::uint64_t committed,
                       bool dropped) {
  *this = old;
  log_ = {};
  shared_ = 0;
  cursor_ = kNoBlock;
  committed_ = committed;
  // What was taken for the carrier that died with the process is taken anew after a resume.
  next_ = sent_;
  bool whole = acked_ <= sent_ && sent_ <= sequence_end() && limit_ <= kMaxLimit &&
               (committed == old.committed_ || !ended());
  if (!whole) return false;
  if (dropped) return true;
  std::uint64_t end = std::min(acked_, committed_);
  bool copied = state.walk(old.log_.head, stream, former, end, committed_, [&](Bytes bytes) {
    append(memory.arena, log_, stream, end, bytes);
    end += bytes.size();
  });
  charge(memory);
  return copied;
}

void SendHalf::charge(HalfMemory& memory) {
  std::uint64_t blocks = log_.blocks - std::min<std::uint64_t>(log_.blocks, tuning::kFloorBlocks);
  std::uint64_t shared = blocks * tuning::kBlockSize;
  memory.half.change(shared_, shared, memory.share);
  shared_ = shared;
}

void SendHalf::check_log(const BlockArena& arena) const {
  check();
  HOLDFAST_CHECK(log_.blocks <= tuning::kFloorBlocks || shared_ != 0);
  if (log_.head == kNoBlock) return;
  std::uint64_t end = arena.info(log_.head).offset;
  HOLDFAST_CHECK(end <= acked_);
  std::uint32_t blocks = 0;
  for (BlockIndex block = log_.head; block != kNoBlock;) {
    const BlockInfo& info = arena.info(block);
    HOLDFAST_CHECK(info.offset == end);
    end += info.used;
    blocks += 1;
    block = block == log_.tail ? kNoBlock : info.next;
  }
  HOLDFAST_CHECK(end == committed_);
  HOLDFAST_CHECK(blocks == log_.blocks);
}

}  // namespace holdfast
