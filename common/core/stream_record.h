// StreamRecord: one stream's whole state, small, of fixed size and without pointers.
//
// The record and the blocks it names are all there is to a stream, so that both can lie in memory
// that outlives the process. It is the one place where state is explicit enums instead of a
// variant: a record must stay trivially copyable.
//
// Its two directions are owned by SendHalf and ReceiveHalf; Outbox owns the lists it stands in.
//
//   open_state   queued --> sent --> open           (client; a resume may set queued again)
//                connecting -------> open           (server)
//   socket       attached -> closed                 (the driver gave the application's socket up)
//   reset        none -> waiting                    (our own RESET is to be sent; then it is over)
#pragma once

#include <cstdint>
#include <type_traits>

#include "common/base/endpoint.h"
#include "common/base/ids.h"
#include "common/base/store_order.h"
#include "common/base/time.h"
#include "common/core/receive_half.h"
#include "common/core/send_half.h"
#include "common/wire/cause.h"

namespace holdfast {

enum class OpenState : std::uint8_t { queued, sent, connecting, open };
enum class SocketState : std::uint8_t { attached, closed };
enum class ResetState : std::uint8_t { none, waiting };
enum class AckState : std::uint8_t { none, later, now };
// Which of Outbox's lists a stream stands in.
enum class ControlList : std::uint8_t { none, opens, control };
enum class DataList : std::uint8_t { none, interactive, bulk };
enum class Reading : std::uint8_t { running, paused };

using SlotIndex = std::uint32_t;
inline constexpr SlotIndex kNoSlot = 0xffffffff;

// Names one stream for the driver: the slot for looking up, the id so that a stale handle (the
// stream ended, the slot was taken anew) is recognised. Commands ignore stale handles.
struct StreamHandle {
  SlotIndex slot = kNoSlot;
  StreamId id;
  bool operator==(const StreamHandle&) const = default;
};

// A place in one of the intrusive lists of StreamTable; kNoSlot at both ends.
struct ListLinks {
  SlotIndex previous = kNoSlot;
  SlotIndex next = kNoSlot;
};

inline constexpr std::uint32_t kRecordVersion = 2;

// An application's socket, as its kernel counts: how much of what was read and written before the
// stream began is not the stream's (a header, a SYN).
struct SocketFacts {
  int descriptor = -1;
  std::uint64_t read_before = 0;
  std::uint64_t written_before = 0;
};

struct StreamRecord {
  std::uint32_t version = kRecordVersion;
  std::uint32_t generation = 0;  // of the slot
  std::uint64_t id = 0;          // StreamId; 0: this slot is free. Stored last

  SendHalf send;
  ReceiveHalf receive;

  OpenState open_state = OpenState::queued;
  SocketState socket = SocketState::attached;
  ResetState reset = ResetState::none;
  AckState ack_state = AckState::none;
  ControlList control_list = ControlList::none;
  DataList data_list = DataList::none;
  Reading reading = Reading::running;
  bool opened_unsent = false;  // server: OPENED is to be sent
  bool ever_sent = false;      // client: OPEN was written on some carrier
  bool drained = true;         // the last read left nothing in its application's socket
  bool talks = false;          // stands among the talkers

  bool over = false;     // it had an id; its socket, if it is named yet, is to be reset
  bool latched = false;  // its kernel has told of an error, which it tells once

  Cause cause = Cause::none;  // how it ended; set once
  std::uint16_t service = 0;  // index into the link's services

  // The driver's: its descriptor and one (0: none), stored last; and where its kernel began.
  std::uint32_t descriptor_and_one = 0;
  std::uint64_t read_before = 0;
  std::uint64_t written_before = 0;
  std::uint64_t former = 0;  // its blocks may name this stream yet, which it was (take_over)

  ListLinks by_id;
  ListLinks control;
  ListLinks ack;
  ListLinks data;

  // Of what is read from the application: how much the last read could have brought, when one
  // brought something, and how much came without a pause.
  std::uint64_t offered = 0;
  std::int64_t read_at_us = 0;
  std::uint64_t burst = 0;

  // For people.
  std::int64_t opened_at_us = 0;
  std::int64_t active_at_us = 0;  // when bytes were last committed or delivered; 0: never
  std::int64_t detached_us = 0;   // time without a carrier
  std::uint64_t linger_mark = 0;
  std::uint32_t resumes = 0;
  std::uint64_t origin = 0;  // its connection's mark; server: to be told with OPENED
  Endpoint source;
  Endpoint destination;

  StreamId stream() const { return StreamId{id}; }
  int descriptor() const { return static_cast<int>(descriptor_and_one) - 1; }
  void own(const SocketFacts& facts) {
    read_before = facts.read_before;
    written_before = facts.written_before;
    keep_store_order();
    descriptor_and_one = static_cast<std::uint32_t>(facts.descriptor + 1);
    keep_store_order();
  }
  // Something of it may go out now, on a carrier that carries its link.
  bool sendable() const {
    bool silenced = reset == ResetState::waiting || receive.aborts();
    return !silenced && open_state != OpenState::queued && send.sendable();
  }
  // Server: it waits for its connection to the target.
  bool wants_target() const {
    return open_state == OpenState::connecting && socket == SocketState::attached;
  }
};

// The cause that a stream ends with when its peer or its link ends it for `reason`: the one that it
// has where its application lost nothing by it. Rule 13: it has had all, and only the ack of our
// FIN is missing; or the peer's reset; or it was gone before.
inline Cause end_of(const StreamRecord& record, Cause reason) {
  bool all_but_the_ack = record.send.end() == EndMark::fin && record.receive.fin_delivered();
  bool quiet = all_but_the_ack || record.receive.discarding() || record.receive.abort_delivered();
  return quiet ? record.cause : reason;
}

static_assert(std::is_trivially_copyable_v<StreamRecord>);
static_assert(sizeof(StreamRecord) <= 416, "a record is what an idle connection costs");

}  // namespace holdfast
