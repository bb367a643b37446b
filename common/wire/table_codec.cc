// TABLE: what one side has of each stream, in chunks.
#include <algorithm>

#include "common/wire/coding.h"
#include "common/wire/frame_buffer.h"
#include "common/wire/frames.h"

namespace holdfast {

void encode_table(Buffer& out, StreamId highest, const std::vector<TableEntry>& entries) {
  std::size_t next = 0;
  do {
    std::size_t count = std::min(kMaxTableEntries, entries.size() - next);
    bool last = next + count == entries.size();
    std::size_t begin = begin_frame(out, FrameType::table);
    put(out, static_cast<std::uint8_t>(last ? 1 : 0));
    put(out, highest.value);
    for (std::size_t i = 0; i < count; ++i) {
      const TableEntry& entry = entries[next + i];
      put(out, entry.id.value);
      put(out, entry.received);
      put(out, entry.delivered);
      put(out, entry.limit);
      put(out, static_cast<std::uint8_t>(entry.opened ? 1 : 0));
    }
    end_frame(out, begin);
    next += count;
  } while (next < entries.size());
}

Result<TableChunk> decode_table(Bytes payload) {
  Reader reader(payload);
  TableChunk chunk;
  auto flags = reader.integer<std::uint8_t>();
  chunk.last = (flags & 1) != 0;
  chunk.highest = StreamId{reader.integer<std::uint64_t>()};
  if (reader.failed()) return bad("TABLE", "cut short");
  if (flags > 1) return bad("TABLE", "unknown flags");
  if (reader.rest().size() % kTableEntrySize != 0) return bad("TABLE", "entry cut short");
  chunk.entries = reader.rest();
  return chunk;
}

TableEntry TableChunk::entry(std::size_t index) const {
  Reader reader(entries.subspan(index * kTableEntrySize, kTableEntrySize));
  TableEntry entry;
  entry.id = StreamId{reader.integer<std::uint64_t>()};
  entry.received = reader.integer<std::uint64_t>();
  entry.delivered = reader.integer<std::uint64_t>();
  entry.limit = reader.integer<std::uint64_t>();
  entry.opened = (reader.integer<std::uint8_t>() & 1) != 0;
  return entry;
}

}  // namespace holdfast
