#include "tests/micro/cases.h"

#include <array>
#include <memory>
#include <vector>

#include "common/base/check.h"
#include "common/wire/frame_reader.h"
#include "common/wire/frames.h"
#include "tests/micro/lane.h"

namespace holdfast::micro {
namespace {

using Work = std::function<void(std::uint64_t)>;
// std::function wants to be copied.
template <typename Thing, typename... Arguments>
Thing* keep(Arguments... arguments) {
  static std::vector<std::unique_ptr<Thing>> kept;
  kept.push_back(std::make_unique<Thing>(arguments...));
  return kept.back().get();
}

void read_all(FrameReader& reader, Bytes bytes) {
  reader.feed(bytes);
  while (true) {
    auto item = reader.next();
    HOLDFAST_CHECK(!std::holds_alternative<FrameReader::Malformed>(item));
    if (std::holds_alternative<FrameReader::NeedMore>(item)) return;
  }
}

// A frame of 64 bytes of data: its header made, the whole read.
Work data_frames() {
  auto* reader = keep<FrameReader>();
  return [reader](std::uint64_t count) {
    std::array<std::uint8_t, 256> frame{};
    for (std::uint64_t i = 0; i < count; ++i) {
      DataHeader header;
      header.id = StreamId{7};
      header.offset = i * 64;
      header.length = 64;
      std::size_t size = encode_data_header(frame, header);
      read_all(*reader, {frame.data(), size + 64});
    }
  };
}

Work ack_frames() {
  auto* reader = keep<FrameReader>();
  return [reader](std::uint64_t count) {
    std::array<std::uint8_t, 256> frame{};
    for (std::uint64_t i = 0; i < count; ++i) {
      std::size_t size = encode_ack_header(frame, 4);
      for (std::uint64_t stream = 1; stream <= 4; ++stream) {
        size +=
            encode_ack_entry(MutableBytes(frame).subspan(size), {StreamId{stream}, i, i + 4096});
      }
      read_all(*reader, {frame.data(), size});
    }
  };
}

// Blocks filled, looked at as a gather does, and given back as by an ack.
struct SendLog {
  StateRegion region{64 * kMiB, 100, make_plain_memory};
  BlockArena& arena = region.arena();
  ByteQueue queue;
  std::uint64_t end = 0;
  std::vector<BlockIndex> pinned;
  std::vector<std::uint8_t> bytes = std::vector<std::uint8_t>(16 * kKiB);
};

Work send_log() {
  auto* log = keep<SendLog>();
  return [log](std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
      append(log->arena, log->queue, 1, log->end, log->bytes);
      std::uint64_t begin = log->end;
      log->end += log->bytes.size();
      iovec views[8];
      HOLDFAST_CHECK(view(log->arena, log->queue, begin, views) != 0);
      release_before(log->arena, log->queue, log->end, log->pinned);
    }
  };
}

std::function<Work()> ping(std::uint32_t idle) {
  return [idle] {
    auto* lane = keep<Lane>(idle + 2);
    for (std::uint32_t i = 0; i <= idle; ++i) lane->open();
    lane->settle();
    return [lane](std::uint64_t count) {
      for (std::uint64_t i = 0; i < count; ++i) {
        lane->write(0, 64);
        lane->settle();
        lane->let_acks_go();
      }
    };
  };
}

// `streams` that all have 64 KiB to send: the scheduler shares the gathers among them.
std::function<Work()> bulk(std::uint32_t streams) {
  return [streams] {
    auto* lane = keep<Lane>(streams + 1);
    for (std::uint32_t i = 0; i < streams; ++i) lane->open();
    lane->settle();
    return [lane, streams](std::uint64_t count) {
      for (std::uint64_t i = 0; i < count; ++i) {
        for (std::uint32_t stream = 0; stream < streams; ++stream) {
          lane->write(stream, 64 * kKiB / streams);
        }
        lane->settle();
        if (i % 16 == 15) lane->let_acks_go();
      }
    };
  };
}

Work open_and_close() {
  auto* lane = keep<Lane>(1000U);
  return [lane](std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
      lane->close(lane->open());
      lane->let_acks_go();
    }
  };
}

const Case kCases[] = {
    {"codec-data", "a DATA frame of 64 bytes, encoded and read", data_frames},
    {"codec-ack", "an ACK frame of 4 streams, encoded and read", ack_frames},
    {"send-log", "16 KiB into a send log, gathered, acked", send_log},
    {"ping", "64 bytes through two links and their ack back, 1 connection", ping(0)},
    {"ping-8000", "the same beside 8,000 idle connections", ping(8000)},
    {"bulk-1", "64 KiB through two links, 1 connection", bulk(1)},
    {"bulk-8", "64 KiB through two links, 8 connections", bulk(8)},
    {"bulk-512", "64 KiB through two links, 512 connections", bulk(512)},
    {"open", "a connection opened and closed in order at both ends", open_and_close, true},
};

}  // namespace

std::span<const Case> cases() {
  return kCases;
}

}  // namespace holdfast::micro
