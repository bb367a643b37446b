// Outbox: which streams of a link have something to say on its carrier, in five lists. A gather
// takes from them in this order:
//
//   control       RESET, OPENED                       in the order in which they came up
//   interactive   DATA, FIN and ABORT of streams      each in its turn
//                 with little to send
//   opens         OPENs of a client                   in order of id
//   acks          ACKs that are owed now
//   bulk          DATA, FIN and ABORT of the others   a quantum each, in rounds
//
// Beside them: streams whose ack may wait for a moment. A stream stands in control or opens, not in
// both; in one list of data at most; and it owes an ack now, later or not. Which of these it does
// is written in its record, here only.
#pragma once

#include <vector>

#include "common/base/time.h"
#include "common/core/stream_table.h"

namespace holdfast {

class Outbox {
 public:
  explicit Outbox(StreamTable& streams) : streams_(streams) {}

  // Nobody has anything to send.
  void clear();

  // --- OPENs: added in order of id.
  void add_open(SlotIndex slot);
  void remove_open(SlotIndex slot);
  bool has_opens() const { return !opens_.empty(); }
  SlotIndex first_open() const { return opens_.first; }
  SlotIndex next_open(SlotIndex slot) const { return streams_[slot].control.next; }

  // --- RESET and OPENED
  void add_control(SlotIndex slot);
  void remove_control(SlotIndex slot);
  bool has_control() const { return !control_.empty(); }
  SlotIndex first_control() const { return control_.first; }

  // --- Acks
  void add_ack(SlotIndex slot);
  // Nothing where one is owed already. `by` counts where no other waits.
  void add_later_ack(SlotIndex slot, Time by);
  // It is written, or the stream is over.
  void remove_ack(SlotIndex slot);
  bool has_acks() const { return !acks_.empty(); }
  SlotIndex first_ack() const { return acks_.first; }
  // When those that wait are owed: acks_due() is to be called. kNever: none waits.
  Time ack_deadline() const { return ack_deadline_; }
  void acks_due();

  // --- Data: DataList::none is no list.
  void add_data(SlotIndex slot, DataList list);
  void remove_data(SlotIndex slot);
  bool has_data(DataList list) const { return !data(list).empty(); }
  SlotIndex first_data(DataList list) const { return data(list).first; }
  // One stream, and no other, has data, and it is bulk.
  bool lone_bulk() const { return bulk_.first == bulk_.last && interactive_.empty(); }

  // It is over: it leaves every list.
  void remove(SlotIndex slot);

  // CHECKs that lists and records agree. For tests: O(streams).
  void check() const;

 private:
  const SlotList& data(DataList list) const {
    return list == DataList::interactive ? interactive_ : bulk_;
  }
  SlotList& data(DataList list) { return list == DataList::interactive ? interactive_ : bulk_; }
  template <ListLinks StreamRecord::*member>
  std::size_t count(const SlotList& list) const;

  StreamTable& streams_;
  SlotList control_;
  SlotList interactive_;
  SlotList opens_;
  SlotList acks_;
  SlotList bulk_;
  std::vector<SlotIndex> later_acks_;  // may name slots that owe nothing any more
  Time ack_deadline_ = kNever;
};

}  // namespace holdfast
