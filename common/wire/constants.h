// Wire constants: changing one breaks the protocol. What may be tuned lives in core/tuning.h.
// docs/PROTOCOL.md is the text these belong to.
#pragma once

#include <cstddef>
#include <cstdint>

namespace holdfast {

// "HFST", the first four payload bytes of HELLO: tells a stray client from a peer at once.
inline constexpr std::uint32_t kMagic = 0x48465354;

inline constexpr std::uint16_t kVersionMin = 1;
inline constexpr std::uint16_t kVersionMax = 1;

// Every frame: type (1 byte), payload length (3 bytes, big-endian), payload.
inline constexpr std::size_t kFrameHeaderSize = 4;

// Odd types may be skipped by who does not know them; unknown even ones are violations.
enum class FrameType : std::uint8_t {
  hello = 2,
  welcome = 4,
  table = 6,
  open = 8,
  opened = 10,
  data = 12,
  fin = 14,
  abort = 16,
  reset = 18,
  ack = 20,
  ping = 22,
  pong = 24,
  drain = 26,
  goodbye = 28,
  services_down = 29,  // optional: who does not know it skips it
  origin = 31,         // likewise
};

// Feature bits of HELLO and WELCOME: agreed anew on every carrier.
// HELLO: the client wants SERVICES_DOWN. WELCOME: one follows the table.
inline constexpr std::uint64_t kFeatureServicesDown = 1;

// Payload bytes before the application's bytes in DATA: id, offset, ack, limit.
inline constexpr std::size_t kDataPrefixSize = 32;
// Application bytes in one DATA frame, at least 1. Large enough that a frame's header is noise,
// small enough that a stream cannot hold the carrier for long.
inline constexpr std::size_t kMaxDataBytes = 65536;
// Payload of every other frame. Bounds what a reader must be able to hold.
inline constexpr std::size_t kMaxControlPayload = 16384;

inline constexpr std::size_t kTableEntrySize = 33;  // id, received, delivered, limit, flags
inline constexpr std::size_t kTablePrefixSize = 9;  // flags, highest
inline constexpr std::size_t kMaxTableEntries =
    (kMaxControlPayload - kTablePrefixSize) / kTableEntrySize;
// Entries of a whole table, in all its frames: what one link may hold of streams. More is no honest
// peer's; without a bound a table that never ends would keep a newcomer's seat.
inline constexpr std::uint32_t kMostTableEntries = 131'072;
inline constexpr std::size_t kMaxServiceGraces = 128;  // of a WELCOME
inline constexpr std::size_t kFinPayloadSize = 16;     // id, offset
inline constexpr std::size_t kAckEntrySize = 24;       // id, ack, limit
inline constexpr std::size_t kMaxAckEntries = kMaxControlPayload / kAckEntrySize;

// The last four bits of a HELLO's slot tell which of a link's lanes it is; the others, which link.
inline constexpr unsigned kLanesOfALink = 16;

// Names of agents and services: [A-Za-z0-9_.-]{1,64}.
inline constexpr std::size_t kMaxNameSize = 64;

// The limit that a stream announces once it discards what arrives (PROTOCOL.md, rule 9).
inline constexpr std::uint64_t kMaxLimit = UINT64_C(1) << 62;

}  // namespace holdfast
