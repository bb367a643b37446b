// StreamTable: the records of one link, by slot, by id and in order of id.
#pragma once

#include <unordered_map>
#include <vector>

#include "common/core/stream_record.h"

namespace holdfast {

// An intrusive list through one ListLinks member of the records.
struct SlotList {
  SlotIndex first = kNoSlot;
  SlotIndex last = kNoSlot;
  bool empty() const { return first == kNoSlot; }
};

class StreamTable {
 public:
  // A new record with this id, which must be above every id ever added.
  SlotIndex add(StreamId id);
  void remove(SlotIndex slot);

  // kNoSlot when there is none.
  SlotIndex find(StreamId id) const {
    auto found = by_id_.find(id.value);
    return found == by_id_.end() ? kNoSlot : found->second;
  }
  StreamRecord& operator[](SlotIndex slot) { return records_[slot]; }
  const StreamRecord& operator[](SlotIndex slot) const { return records_[slot]; }
  std::size_t size() const { return by_id_.size(); }
  bool empty() const { return by_id_.empty(); }
  std::size_t slots() const { return records_.size(); }

  // In order of id: first(), then next() of each; kNoSlot ends it.
  SlotIndex first() const { return order_.first; }
  SlotIndex next(SlotIndex slot) const { return records_[slot].by_id.next; }

  template <ListLinks StreamRecord::*member>
  void push_back(SlotList& list, SlotIndex slot) {
    ListLinks& links = records_[slot].*member;
    links = {list.last, kNoSlot};
    (list.last == kNoSlot ? list.first : (records_[list.last].*member).next) = slot;
    list.last = slot;
  }
  template <ListLinks StreamRecord::*member>
  void erase(SlotList& list, SlotIndex slot) {
    ListLinks& links = records_[slot].*member;
    (links.previous == kNoSlot ? list.first : (records_[links.previous].*member).next) = links.next;
    (links.next == kNoSlot ? list.last : (records_[links.next].*member).previous) = links.previous;
    links = {};
  }

 private:
  std::vector<StreamRecord> records_;
  std::vector<SlotIndex> free_slots_;
  std::unordered_map<std::uint64_t, SlotIndex> by_id_;
  SlotList order_;
};

}  // namespace holdfast
