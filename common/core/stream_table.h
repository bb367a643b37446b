// StreamTable: the records of one link, by slot, by id and in order of id. A record stays where it
// is: slots come by chunks of a region, and a chunk without records goes back there.
#pragma once

#include <cstddef>
#include <memory>
#include <unordered_map>
#include <vector>

#include "common/core/state_region.h"

namespace holdfast {

// An intrusive list through one ListLinks member of the records.
struct SlotList {
  SlotIndex first = kNoSlot;
  SlotIndex last = kNoSlot;
  bool empty() const { return first == kNoSlot; }
};

class StreamTable {
 public:
  // `owner`: the link, as its region numbers it; kNoLink: it has no place there.
  StreamTable(StateRegion& region, LinkIndex owner) : region_(region), owner_(owner) {}
  ~StreamTable();
  StreamTable(const StreamTable&) = delete;
  StreamTable& operator=(const StreamTable&) = delete;

  // A fresh record without an id, in no list yet. add() must follow, before any other take().
  SlotIndex take();
  // Gives the record in `slot` its id, which must be above every id ever added: it is there from
  // now on. What an id must not be seen without is filled in before.
  void add(SlotIndex slot, StreamId id);
  void remove(SlotIndex slot);
  // The first half of remove(): the record is in no table any more, its slot not free yet.
  void hide(SlotIndex slot);
  // Whatever is in it; null where no slot is.
  StreamRecord* place(SlotIndex slot) { return at(slot); }

  // kNoSlot when there is none.
  SlotIndex find(StreamId id) const {
    auto found = by_id_.find(id.value);
    return found == by_id_.end() ? kNoSlot : found->second;
  }
  // Null for a stale handle.
  StreamRecord* find(StreamHandle stream) {
    StreamRecord* record = at(stream.slot);
    return record != nullptr && stream.id.value != 0 && record->id == stream.id.value ? record
                                                                                      : nullptr;
  }
  const StreamRecord* find(StreamHandle stream) const {
    return const_cast<StreamTable*>(this)->find(stream);
  }
  StreamHandle handle(SlotIndex slot) const { return {slot, (*this)[slot].stream()}; }
  StreamRecord& operator[](SlotIndex slot) { return *record_at(slot); }
  const StreamRecord& operator[](SlotIndex slot) const { return *record_at(slot); }
  std::size_t size() const { return by_id_.size(); }
  bool empty() const { return by_id_.empty(); }

  // In order of memory: every slot is below slots(); null where no record is.
  std::size_t slots() const { return chunks_.size() * RecordChunk::kRecords; }
  const StreamRecord* used(SlotIndex slot) const {
    const StreamRecord* record = const_cast<StreamTable*>(this)->at(slot);
    return record != nullptr && record->id != 0 ? record : nullptr;
  }

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
  struct Chunk {
    RecordChunk* records = nullptr;    // null: given back
    std::unique_ptr<RecordChunk> own;  // the region had no room for it
    SlotIndex taken = 0;
  };

  StreamRecord* record_at(SlotIndex slot) const {
    return &chunks_[slot / RecordChunk::kRecords].records->records[slot % RecordChunk::kRecords];
  }
  // Null where no chunk is.
  StreamRecord* at(SlotIndex slot) const {
    std::size_t number = slot / RecordChunk::kRecords;
    bool there = number < chunks_.size() && chunks_[number].records != nullptr;
    return there ? record_at(slot) : nullptr;
  }
  void add_chunk();
  void give_back(Chunk& chunk);

  StateRegion& region_;
  LinkIndex owner_;
  std::vector<Chunk> chunks_;
  std::vector<SlotIndex> free_slots_;  // some of chunks that were given back
  std::vector<std::uint32_t> vacant_;  // numbers of those that were given back
  std::size_t empty_ = 0;              // chunks without a record
  std::unordered_map<std::uint64_t, SlotIndex> by_id_;
  SlotList order_;
};

}  // namespace holdfast
