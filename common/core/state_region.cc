#include "common/core/state_region.h"

#include <memory>

#include "common/base/store_order.h"

namespace holdfast {
namespace {

// Sections begin where a page may begin, on any host.
constexpr std::uint64_t kSection = 64 * 1024;
// Blocks beside those that are accounted for: what gathers still refer to, and room that was
// prepared for one read.
constexpr std::uint64_t kSpareBlocks = 16 * 1024;

std::uint64_t round_up(std::uint64_t size, std::uint64_t to) {
  return (size + to - 1) / to * to;
}

template <typename T>
T* place(RegionMemory& memory, std::uint64_t offset) {
  return reinterpret_cast<T*>(memory.bytes().data() + offset);
}

}  // namespace

RegionHeader::Shape StateRegion::shape_for(std::uint64_t memory, std::uint32_t streams) {
  RegionHeader::Shape shape;
  shape.links = kMostLinks;
  // Each stream may be the last one of its chunk; and each link keeps four that are empty.
  shape.chunks = streams + 4 * kMostLinks;
  std::uint64_t blocks =
      memory / tuning::kBlockSize + 2 * tuning::kFloorBlocks * std::uint64_t{streams};
  shape.blocks =
      static_cast<std::uint32_t>(round_up(2 * blocks + kSpareBlocks, BlockArena::kBlocksPerChunk));
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

StateRegion::StateRegion(std::uint64_t memory, std::uint32_t streams, const MakeRegionMemory& make)
    : memory_(make(shape_for(memory, streams).size)),
      header_(place<RegionHeader>(*memory_, 0)),
      links_(place<LinkRecord>(*memory_, shape_for(memory, streams).links_at)),
      chunks_(place<RecordChunk>(*memory_, shape_for(memory, streams).chunks_at)),
      arena_({place<BlockInfo>(*memory_, shape_for(memory, streams).infos_at),
              shape_for(memory, streams).blocks},
             *memory_, shape_for(memory, streams).blocks_at) {
  std::construct_at(header_);
  header_->shape = shape_for(memory, streams);
  HOLDFAST_CHECK(memory_->bytes().size() >= header_->shape.size);
  keep_store_order();
  header_->magic = RegionHeader::kMagic;
}

LinkRecord* StateRegion::take_link() {
  LinkRecord* link = nullptr;
  if (!free_links_.empty()) {
    link = free_links_.back();
    free_links_.pop_back();
  } else if (links_used_ < header_->shape.links) {
    link = links_ + links_used_++;
    free_links_.reserve(links_used_);
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
  } else if (chunks_used_ < header_->shape.chunks) {
    chunk = chunks_ + chunks_used_++;
    free_chunks_.reserve(chunks_used_);
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
