// StateRegion: where everything of one loop's links and streams lies that another process can go on
// from: one piece of memory with a header that says what is where.
//
//   header | links: LinkRecord | chunks of StreamRecord | BlockInfo | blocks
//
// Nothing in it is a pointer; nothing moves. What is free, who stands in which list and what the
// memory is charged is not here: it follows from the rest. A link without a place here (there
// are more than Room says) is kept elsewhere, and does not outlive the process.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "common/base/bytes.h"
#include "common/core/block_arena.h"
#include "common/core/intent.h"
#include "common/core/link_record.h"
#include "common/core/region_memory.h"
#include "common/core/stream_record.h"

namespace holdfast {

// Records are handed to links by eights.
struct RecordChunk {
  static constexpr SlotIndex kRecords = 8;
  std::uint32_t owner = kNoLink;  // stored last
  std::uint32_t number = 0;       // the owner's slots from number * kRecords on
  StreamRecord records[kRecords];
};

struct RegionHeader {
  static constexpr std::uint64_t kMagic = 0x31746174732d6668;  // "hf-stat1"
  static constexpr std::uint16_t kMajor = 1;
  static constexpr std::uint16_t kMinor = 0;

  // What a region consists of, and where. All of it must be equal for another build to read it.
  struct Shape {
    std::uint32_t link_size = sizeof(LinkRecord);
    std::uint32_t chunk_size = sizeof(RecordChunk);
    std::uint32_t record_size = sizeof(StreamRecord);
    std::uint32_t block_size = tuning::kBlockSize;
    std::uint32_t links = 0;
    std::uint32_t chunks = 0;
    std::uint32_t blocks = 0;
    std::uint32_t unused = 0;
    std::uint64_t links_at = 0;
    std::uint64_t chunks_at = 0;
    std::uint64_t infos_at = 0;
    std::uint64_t blocks_at = 0;
    std::uint64_t size = 0;
    bool operator==(const Shape&) const = default;
  };

  std::uint64_t magic = 0;  // stored last
  std::uint16_t major = kMajor;
  std::uint16_t minor = kMinor;
  std::uint32_t unused = 0;
  Shape shape;
  // That were ever taken: what lies behind was never touched, and is not to be for looking.
  std::uint32_t links_used = 0;
  std::uint32_t chunks_used = 0;
  alignas(64) Intent intent;
};
static_assert(std::is_trivially_copyable_v<RegionHeader>);

class StateRegion {
 public:
  // What there is room for beside `streams` streams and `memory` bytes of blocks above their
  // floors.
  struct Room {
    std::uint32_t links = 1024;
    // Blocks that gathers still refer to, and those prepared for a read.
    std::uint32_t spare_blocks = 16 * 1024;
  };

  StateRegion(std::uint64_t memory, std::uint32_t streams, const MakeRegionMemory& make)
      : StateRegion(memory, streams, make, Room{}) {}
  StateRegion(std::uint64_t memory, std::uint32_t streams, const MakeRegionMemory& make, Room room);

  Intent& intent() { return header_->intent; }
  BlockArena& arena() { return arena_; }

  // A place for a link, blank and without an owner until it says so; null: all are taken.
  LinkRecord* take_link();
  void give_back(LinkRecord* link);
  LinkIndex index_of(const LinkRecord* link) const {
    return static_cast<LinkIndex>(link - links_ + 1);
  }

  // A chunk for a link's slots, without ids; null: all are taken.
  RecordChunk* take_chunk(LinkIndex owner, std::uint32_t number);
  void give_back(RecordChunk* chunk);

  std::span<std::byte> bytes() const { return memory_->bytes(); }

 private:
  std::unique_ptr<RegionMemory> memory_;
  const RegionHeader::Shape shape_;
  RegionHeader* header_;
  LinkRecord* links_;
  RecordChunk* chunks_;
  std::vector<LinkRecord*> free_links_;
  std::vector<RecordChunk*> free_chunks_;
  BlockArena arena_;
};

// A link's record: in the region, or, where that has no place for it, of its own.
class LinkPlace {
 public:
  explicit LinkPlace(StateRegion& region) : region_(region), record_(region.take_link()) {
    if (record_ != nullptr) return;
    own_ = std::make_unique<LinkRecord>();
    record_ = own_.get();
  }
  ~LinkPlace() {
    if (!own_) region_.give_back(record_);
  }
  LinkPlace(const LinkPlace&) = delete;
  LinkPlace& operator=(const LinkPlace&) = delete;

  LinkRecord* operator->() const { return record_; }
  LinkRecord& operator*() const { return *record_; }
  LinkIndex index() const { return own_ ? kNoLink : region_.index_of(record_); }

 private:
  StateRegion& region_;
  LinkRecord* record_;
  std::unique_ptr<LinkRecord> own_;
};

}  // namespace holdfast
