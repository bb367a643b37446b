#include "common/core/old_state.h"

#include <algorithm>

namespace holdfast {
namespace {

// A section of `count` lies within `size` bytes.
bool within(std::uint64_t at, std::uint64_t count, std::uint64_t each, std::uint64_t size) {
  return at % alignof(std::max_align_t) == 0 && at <= size && count <= (size - at) / each;
}

}  // namespace

Result<OldState> OldState::read(std::span<const std::byte> bytes) {
  if (bytes.size() < sizeof(RegionHeader)) return Error{"the state is cut short"};
  OldState state;
  state.header_ = reinterpret_cast<const RegionHeader*>(bytes.data());
  const RegionHeader& header = *state.header_;
  if (header.magic != RegionHeader::kMagic) return Error{"this is no state"};
  const RegionHeader::Shape& shape = header.shape;
  const RegionHeader::Shape own;
  bool format = header.major == RegionHeader::kMajor && shape.link_size == own.link_size &&
                shape.chunk_size == own.chunk_size && shape.record_size == own.record_size &&
                shape.block_size == own.block_size;
  if (!format) return Error{"the state is of another format"};
  std::uint64_t size = bytes.size();
  bool whole = within(shape.links_at, shape.links, sizeof(LinkRecord), size) &&
               within(shape.chunks_at, shape.chunks, sizeof(RecordChunk), size) &&
               within(shape.infos_at, shape.blocks, sizeof(BlockInfo), size) &&
               within(shape.blocks_at, shape.blocks, tuning::kBlockSize, size);
  if (!whole) return Error{"the state is cut short"};
  auto at = [&](std::uint64_t offset) { return bytes.data() + offset; };
  state.records_ = {reinterpret_cast<const LinkRecord*>(at(shape.links_at)),
                    std::min(shape.links, header.links_used)};
  state.chunks_ = {reinterpret_cast<const RecordChunk*>(at(shape.chunks_at)),
                   std::min(shape.chunks, header.chunks_used)};
  state.infos_ = {reinterpret_cast<const BlockInfo*>(at(shape.infos_at)), shape.blocks};
  state.blocks_ = reinterpret_cast<const std::uint8_t*>(at(shape.blocks_at));
  state.find_links();
  state.find_streams();
  return state;
}

void OldState::find_links() {
  for (LinkIndex place = 0; place < records_.size(); ++place) {
    const LinkRecord& record = records_[place];
    if (record.life != LinkRecord::Life::lives) continue;
    if (auto facts = record.read()) links_.push_back({place + 1, &record, std::move(*facts), {}});
  }
}

// A stream that is just moving from one link to another is in both, with one socket: it is there
// where it knows its former name.
void OldState::find_streams() {
  std::vector<int> moved;
  for (const RecordChunk& chunk : chunks_) {
    for (const StreamRecord& record : chunk.records) {
      if (chunk.owner != kNoLink && record.id != 0 && record.former != 0) {
        moved.push_back(record.descriptor());
      }
    }
  }
  for (const RecordChunk& chunk : chunks_) {
    auto link = std::find_if(links_.begin(), links_.end(),
                             [&](const Link& each) { return each.index == chunk.owner; });
    for (SlotIndex i = 0; i < RecordChunk::kRecords; ++i) {
      const StreamRecord& record = chunk.records[i];
      bool left = record.former == 0 && record.descriptor() >= 0 &&
                  std::find(moved.begin(), moved.end(), record.descriptor()) != moved.end();
      if (left) continue;
      if (chunk.owner != kNoLink && record.id != 0 && link != links_.end()) {
        link->streams.push_back({chunk.number * RecordChunk::kRecords + i, &record});
      } else if (record.descriptor() >= 0 && (record.id != 0 || record.over)) {
        leftovers_.push_back(record.descriptor());
      }
    }
  }
  for (Link& link : links_) {
    std::sort(link.streams.begin(), link.streams.end(),
              [](const Stream& a, const Stream& b) { return a.record->id < b.record->id; });
  }
}

bool OldState::walk(BlockIndex head, std::uint64_t stream, std::uint64_t former, std::uint64_t from,
                    std::uint64_t to, const std::function<void(Bytes)>& visit) const {
  BlockIndex block = head;
  std::optional<std::uint64_t> begin;  // where the next block is to begin
  while (from < to) {
    if (block >= infos_.size()) return false;
    const BlockInfo& info = infos_[block];
    bool its = info.stream == stream || (former != 0 && info.stream == former);
    if (!its || (begin ? info.offset != *begin : info.offset > from)) return false;
    std::uint64_t end = info.offset + tuning::kBlockSize;
    if (from < end) {
      auto skip = static_cast<std::size_t>(from - info.offset);
      auto size = static_cast<std::size_t>(std::min(to, end) - from);
      visit({blocks_ + block * tuning::kBlockSize + skip, size});
      from += size;
    }
    begin = end;
    block = info.next;
  }
  return true;
}

}  // namespace holdfast
