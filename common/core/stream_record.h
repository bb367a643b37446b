// StreamRecord: one stream's whole state, small, of fixed size and without pointers.
//
// The record and the blocks it names are all there is to a stream, so that both can lie in memory
// that outlives the process. It is the one place where state is explicit enums instead of a
// variant: a record must stay trivially copyable.
//
// Offsets count bytes of one direction, end marks included: FIN and ABORT take one offset each,
// after the bytes (PROTOCOL.md, rule 8).
//
//   sending      0 <= acked <= next <= sent <= sequence_end      acked <= committed (+ marks)
//                     |        |       |       `- committed + own marks
//                     |        |       `- highest ever written on any carrier
//                     |        `- next to write on this carrier
//                     `- written to the peer's application
//   receiving    0 <= delivered <= received <= limit_written <= limit
//
//   open_state   queued --> sent --> open           (client; a resume may set queued again)
//                connecting -------> open           (server)
//   own_end      none -> fin -> fin_then_abort      none -> abort
//   peer_end     the same, by what has been received
//   socket       attached -> closed                 (the driver gave the application's socket up)
//   reset        none -> waiting                    (our own RESET is to be sent; then it is over)
#pragma once

#include <cstdint>
#include <type_traits>

#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/core/byte_queue.h"
#include "common/wire/cause.h"
#include "common/wire/endpoint.h"

namespace holdfast {

enum class OpenState : std::uint8_t { queued, sent, connecting, open };
enum class EndMark : std::uint8_t { none, fin, abort, fin_then_abort };
enum class SocketState : std::uint8_t { attached, closed };
enum class ResetState : std::uint8_t { none, waiting };
// Which end marks the driver has been told of.
enum class EndTold : std::uint8_t { none, fin, abort };
enum class AckState : std::uint8_t { none, later, now };
// The sending queue a stream stands in.
enum class DataList : std::uint8_t { none, interactive, bulk };
enum class Reading : std::uint8_t { running, paused };

constexpr bool has_fin(EndMark mark) {
  return mark == EndMark::fin || mark == EndMark::fin_then_abort;
}
constexpr bool has_abort(EndMark mark) {
  return mark == EndMark::abort || mark == EndMark::fin_then_abort;
}
constexpr std::uint64_t mark_count(EndMark mark) {
  return mark == EndMark::none ? 0 : mark == EndMark::fin_then_abort ? 2 : 1;
}
constexpr EndMark with_abort(EndMark mark) {
  return mark == EndMark::fin ? EndMark::fin_then_abort : EndMark::abort;
}

using SlotIndex = std::uint32_t;
inline constexpr SlotIndex kNoSlot = 0xffffffff;

// A place in one of the intrusive lists of StreamTable; kNoSlot at both ends.
struct ListLinks {
  SlotIndex previous = kNoSlot;
  SlotIndex next = kNoSlot;
};

inline constexpr std::uint32_t kRecordVersion = 1;

struct StreamRecord {
  std::uint32_t version = kRecordVersion;
  std::uint32_t window = 0;  // bytes that we grant ahead of `delivered`, grows with need
  std::uint64_t id = 0;      // StreamId; 0: this slot is free

  // Sending.
  std::uint64_t acked = 0;
  std::uint64_t next = 0;
  std::uint64_t sent = 0;
  std::uint64_t committed = 0;    // bytes taken from the application
  std::uint64_t send_limit = 0;   // the peer's
  std::uint64_t send_shared = 0;  // bytes of blocks above the floor
  ByteQueue log;                  // bytes [acked, committed), from a block boundary on
  BlockIndex cursor = kNoBlock;   // block of `next`, or kNoBlock: look from the head

  // Receiving.
  std::uint64_t received = 0;
  std::uint64_t delivered = 0;
  std::uint64_t limit = 0;          // that we grant
  std::uint64_t limit_written = 0;  // as announced on the wire or in a table
  std::uint64_t ack_written = 0;
  ByteQueue queue;  // bytes [delivered, received) that the application has not taken
  std::uint64_t receive_shared = 0;  // bytes above the floor charged for the credit

  OpenState open_state = OpenState::queued;
  EndMark own_end = EndMark::none;
  EndMark peer_end = EndMark::none;
  SocketState socket = SocketState::attached;
  ResetState reset = ResetState::none;
  EndTold told = EndTold::none;
  AckState ack_state = AckState::none;
  DataList data_list = DataList::none;
  Reading reading = Reading::running;
  bool in_control = false;     // stands in the control list
  bool opened_unsent = false;  // server: OPENED is to be sent
  bool ever_sent = false;      // client: OPEN was written on some carrier
  bool drained = true;         // the last read left nothing in its application's socket
  bool talks = false;          // stands among the talkers

  Cause cause = Cause::none;  // how it ended; set once
  Cause own_abort_code = Cause::none;
  Cause peer_abort_code = Cause::none;
  std::uint16_t service = 0;  // index into the link's services

  ListLinks by_id;
  ListLinks control;  // RESET or OPENED to send; also the list of OPENs to send
  ListLinks ack;
  ListLinks data;

  // Of what is read from the application: how much the last read could have brought, when one
  // brought something, and how much came without a pause.
  std::uint64_t offered = 0;
  std::int64_t read_at_us = 0;
  std::uint64_t burst = 0;

  // Measuring need (the window) and telling people.
  std::int64_t epoch_start_us = 0;
  std::uint64_t epoch_delivered = 0;
  std::int64_t opened_at_us = 0;
  std::int64_t active_at_us = 0;  // when bytes were last committed or delivered; 0: never
  std::int64_t detached_us = 0;   // time without a carrier
  std::uint64_t replayed = 0;     // bytes written again
  std::uint64_t linger_mark = 0;
  std::uint32_t resumes = 0;
  std::uint32_t generation = 0;  // of the slot
  std::uint64_t origin = 0;      // its connection's mark; server: to be told with OPENED
  Endpoint source;
  Endpoint destination;

  std::uint64_t sequence_end() const { return committed + mark_count(own_end); }
  std::uint64_t own_fin_offset() const { return committed; }
  std::uint64_t own_abort_offset() const { return sequence_end() - 1; }
  bool own_fin_acked() const { return has_fin(own_end) && acked > committed; }
  bool own_abort_acked() const { return has_abort(own_end) && acked == sequence_end(); }

  // Bytes received, end marks left out.
  std::uint64_t received_bytes() const { return received - mark_count(peer_end); }
  bool peer_fin_delivered() const { return has_fin(peer_end) && delivered > received_bytes(); }
  bool peer_abort_delivered() const { return has_abort(peer_end) && delivered == received; }
  std::uint64_t queued_bytes() const {
    return delivered >= received_bytes() ? 0 : received_bytes() - delivered;
  }
  std::uint64_t log_bytes() const { return acked >= committed ? 0 : committed - acked; }
  // Nothing that arrives means anything any more: our application is gone.
  bool discarding() const { return has_abort(own_end) || reset == ResetState::waiting; }
  // Rule 13: all that is missing is the ack of our FIN.
  bool only_last_ack_missing() const { return own_end == EndMark::fin && peer_fin_delivered(); }
  StreamId stream() const { return StreamId{id}; }
};

static_assert(std::is_trivially_copyable_v<StreamRecord>);
static_assert(sizeof(StreamRecord) <= 416, "a record is what an idle connection costs");

}  // namespace holdfast
