// StreamTable: the records of one link, by slot, by id and in order of id. A record stays where it
// is: the table grows by chunks, each as large as all before it.
#pragma once

#include <bit>
#include <cstddef>
#include <memory>
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
  // A fresh record without an id, in no list yet. add() must follow, before any other take().
  SlotIndex take();
  // Gives the record in `slot` its id, which must be above every id ever added: it is there from
  // now on. What an id must not be seen without is filled in before.
  void add(SlotIndex slot, StreamId id);
  void remove(SlotIndex slot);

  // kNoSlot when there is none.
  SlotIndex find(StreamId id) const {
    auto found = by_id_.find(id.value);
    return found == by_id_.end() ? kNoSlot : found->second;
  }
  // Null for a stale handle.
  StreamRecord* find(StreamHandle stream) {
    if (stream.slot >= slots() || stream.id.value == 0) return nullptr;
    StreamRecord* record = place(stream.slot);
    return record->id == stream.id.value ? record : nullptr;
  }
  const StreamRecord* find(StreamHandle stream) const {
    return const_cast<StreamTable*>(this)->find(stream);
  }
  StreamHandle handle(SlotIndex slot) const { return {slot, (*this)[slot].stream()}; }
  StreamRecord& operator[](SlotIndex slot) { return *place(slot); }
  const StreamRecord& operator[](SlotIndex slot) const { return *place(slot); }
  std::size_t size() const { return by_id_.size(); }
  bool empty() const { return by_id_.empty(); }
  std::size_t slots() const { return slots_; }

  // In order of id: first(), then next() of each; kNoSlot ends it.
  SlotIndex first() const { return order_.first; }
  SlotIndex next(SlotIndex slot) const { return (*this)[slot].by_id.next; }

  template <ListLinks StreamRecord::*member>
  void push_back(SlotList& list, SlotIndex slot) {
    ListLinks& links = (*this)[slot].*member;
    links = {list.last, kNoSlot};
    (list.last == kNoSlot ? list.first : ((*this)[list.last].*member).next) = slot;
    list.last = slot;
  }
  template <ListLinks StreamRecord::*member>
  void erase(SlotList& list, SlotIndex slot) {
    ListLinks& links = (*this)[slot].*member;
    (links.previous == kNoSlot ? list.first : ((*this)[links.previous].*member).next) = links.next;
    (links.next == kNoSlot ? list.last : ((*this)[links.next].*member).previous) = links.previous;
    links = {};
  }

 private:
  // Slots 0 to 3 lie in chunk 0, 4 to 7 in chunk 1, 8 to 15 in chunk 2 and so on.
  static constexpr int kFirstBits = 2;
  StreamRecord* place(SlotIndex slot) const {
    auto chunk = static_cast<std::size_t>(std::bit_width(slot >> kFirstBits));
    SlotIndex first = chunk == 0 ? 0 : SlotIndex{1} << (chunk + kFirstBits - 1);
    return reinterpret_cast<StreamRecord*>(chunks_[chunk].get()) + (slot - first);
  }

  // Memory of a record is not touched before its slot is taken.
  std::vector<std::unique_ptr<std::byte[]>> chunks_;
  std::size_t slots_ = 0;  // that were ever taken
  std::vector<SlotIndex> free_slots_;
  std::unordered_map<std::uint64_t, SlotIndex> by_id_;
  SlotList order_;
};

}  // namespace holdfast
