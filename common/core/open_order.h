// OpenOrder: what an OPEN follows: bytes and ends of older streams of the same service, so that who
// waits for one connection's end before it takes the next (a printer, a controller with one seat)
// meets them in the order in which the application made them. It follows what was read from the
// applications, or is being read, and has credit. It never waits for credit that does not come, nor
// long.
//
// Ids rise on the wire (rule 7), so the OPENs behind one that waits do so, too. At the server the
// same holds between an end that came and the connect of an OPEN that came after it.
#pragma once

#include <cstdint>
#include <vector>

#include "common/core/link_options.h"
#include "common/core/outbox.h"
#include "common/core/stream_table.h"

namespace holdfast {

class OpenOrder {
 public:
  // All outlive it; the options may change.
  OpenOrder(const LinkOptions& options, StreamTable& streams, const Outbox& outbox)
      : options_(options), streams_(streams), outbox_(outbox) {}

  // --- Client -----------------------------------------------------------------------------

  // So many bytes were read of a stream's application; commit() has them.
  void note_read(Time now, SlotIndex slot, std::size_t size);
  // A stream may have more to say than a gather takes.
  void note_talker(SlotIndex slot);
  // Is this OPEN, the first of those that wait, to be held back? `live_since`: when the carrier
  // came; the round trip is its.
  bool follows(Time now, SlotIndex opening, Time live_since, Duration round_trip);
  // The carrier is gone: what the first OPEN follows is looked up anew.
  void forget_follower() { follower_ = {}; }

  // --- Server -----------------------------------------------------------------------------

  // The end of a stream's application came.
  void note_ending(SlotIndex slot);
  // May this stream be connected to its target now? Else settle_connects() names it in its time.
  bool connects_now(Time now, SlotIndex slot);
  // Those that may be connected now: an end was delivered, a stream is over, look_at() has come.
  std::vector<StreamHandle> settle_connects(Time now);
  bool holds_connects() const { return !connects_.empty(); }

  // --- Both -------------------------------------------------------------------------------

  // When a wait may be over though nothing happened; kNever: none may.
  Time look_at() const { return look_at_; }
  void looked() { look_at_ = kNever; }

 private:
  // A stream that the first of the OPENs that wait follows.
  struct Ahead {
    StreamHandle stream;
    bool flows = false;          // it was being read when this was noted, and is
    std::uint64_t until = 0;     // else what is to be sent first, of one that goes on
    std::uint64_t position = 0;  // how far it was when it last moved
    Time moved_at{};
  };
  // A stream that is not connected to its target yet.
  struct Connect {
    StreamHandle stream;
    StreamHandle behind;  // whose end is on its way to the target
    Time since{};
    std::uint64_t position = 0;  // how far that was when it last moved
    Time moved_at{};
  };

  static Time flows_until(const StreamRecord& record);
  bool same_service(const StreamRecord& one, const StreamRecord& other) const;
  void look_ahead(Time now, const StreamRecord& opening);
  bool still_ahead(Time now, Ahead& ahead, Time since, Duration credit_patience);
  void forget_endings();
  bool end_through(StreamHandle stream) const;
  bool find_ending(Connect& connect);
  bool still_held(Time now, Connect& connect);

  const LinkOptions& options_;
  StreamTable& streams_;
  const Outbox& outbox_;

  std::vector<StreamHandle> talkers_;  // some are through
  StreamId follower_;                  // the OPEN that ahead_ is for
  std::vector<Ahead> ahead_;
  std::vector<StreamHandle> endings_;  // of the application; some are through
  std::vector<Connect> connects_;      // in order of id
  Time look_at_ = kNever;
};

}  // namespace holdfast
