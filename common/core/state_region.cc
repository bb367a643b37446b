#include "common/core/state_region.h"

#include <cerrno>
#include <limits>
#include <memory>

#include "common/base/host_refused.h"
#include "common/base/store_order.h"

namespace holdfast {
namespace {

// Sections begin where a page may begin, on any host.
constexpr std::uint64_t kSection = 64 * 1024;

std::uint64_t round_up(std::uint64_t size, std::uint64_t to) {
  return (size + to - 1) / to * to;
}

template <typename T>
T* place(RegionMemory& memory, std::uint64_t offset) {
  return reinterpret_cast<T*>(memory.bytes().data() + offset);
}

RegionHeader::Shape shape_for(std::uint64_t memory, std::uint32_t streams, StateRegion::Room room) {
  RegionHeader::Shape shape;
  shape.links = room.links;
  // Each stream may be the last one of its chunk; and each link keeps four that are empty.
  shape.chunks = streams + 4 * room.links;
  std::uint64_t blocks =
      memory / tuning::kBlockSize + 2 * tuning::kFloorBlocks * std::uint64_t{streams};
  shape.blocks = static_cast<std::uint32_t>(
      round_up(2 * blocks + room.spare_blocks, BlockArena::kBlocksPerChunk));
  shape.links_at = kSection;
  shape.chunks_at =
      round_up(shape.links_at + std::uint64_t{shape.links} * shape.link_size, kSection);
  shape.infos_at =
      round_up(shape.chunks_at + std::uint64_t{shape.chunks} * shape.chunk_size, kSection);
  shape.blocks_at =
      round_up(shape.infos_at + std::uint64_t{shape.blocks} * sizeof(BlockInfo), kSection);
  shape.size = shape.blocks_at + std::uint64_t{shape.blocks} * shape.block_size;
  return shape;
}

std::size_t addressable(std::uint64_t size) {
  if (size > std::numeric_limits<std::size_t>::max()) host_refused(kBuffers, ENOMEM);
  return static_cast<std::size_t>(size);
}

}  // namespace

StateRegion::StateRegion(std::uint64_t memory, std::uint32_t streams, const MakeRegionMemory& make,
                         Room room)
    : memory_(make(addressable(shape_for(memory, streams, room).size))),
      shape_(shape_for(memory, streams, room)),
      header_(place<RegionHeader>(*memory_, 0)),
      links_(place<LinkRecord>(*memory_, shape_.links_at)),
      chunks_(place<RecordChunk>(*memory_, shape_.chunks_at)),
      arena_({place<BlockInfo>(*memory_, shape_.infos_at), shape_.blocks}, *memory_,
             addressable(shape_.blocks_at)) {
  HOLDFAST_CHECK(memory_->bytes().size() >= shape_.size);
  std::construct_at(header_);
  header_->shape = shape_;
  keep_store_order();
  header_->magic = RegionHeader::kMagic;
}

LinkRecord* StateRegion::take_link() {
  LinkRecord* link = nullptr;
  if (!free_links_.empty()) {
    link = free_links_.back();
    free_links_.pop_back();
  } else if (header_->links_used < shape_.links) {
    link = links_ + header_->links_used++;
    free_links_.reserve(header_->links_used);
  } else {
    return nullptr;
  }
  link->clear();
  return link;
}

void StateRegion::give_back(LinkRecord* link) {
  link->life = LinkRecord::Life::none;
  free_links_.push_back(link);
}

RecordChunk* StateRegion::take_chunk(LinkIndex owner, std::uint32_t number) {
  RecordChunk* chunk = nullptr;
  if (!free_chunks_.empty()) {
    chunk = free_chunks_.back();
    free_chunks_.pop_back();
  } else if (header_->chunks_used < shape_.chunks) {
    chunk = chunks_ + header_->chunks_used++;
    free_chunks_.reserve(header_->chunks_used);
  } else {
    return nullptr;
  }
  for (StreamRecord& each : chunk->records) each.id = 0;
  chunk->number = number;
  keep_store_order();
  chunk->owner = owner;
  return chunk;
}

void StateRegion::give_back(RecordChunk* chunk) {
  chunk->owner = kNoLink;
  free_chunks_.push_back(chunk);
}

}  // namespace holdfast
