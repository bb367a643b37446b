// The frames of the link and their codec. One struct a frame; docs/PROTOCOL.md has the picture.
//
// encode_* append a whole frame (header included) to `out`. decode_* take a frame's payload and
// give the frame or an Error that names what is wrong with it; nothing is sized by a peer's word.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/endpoint.h"
#include "common/base/ids.h"
#include "common/base/result.h"
#include "common/base/time.h"
#include "common/wire/cause.h"
#include "common/wire/constants.h"
#include "common/wire/home.h"

namespace holdfast {

// The client's greeting, first frame on every carrier; its table follows in TABLE frames.
struct Hello {
  std::uint16_t version_min = kVersionMin;
  std::uint16_t version_max = kVersionMax;
  LinkId link;
  std::uint64_t instance = 0;  // of the first WELCOME applied, or 0: create or resume
  std::uint64_t attempt = 0;   // rises strictly within a link, from 1
  std::string name;            // the agent's; must agree with the authenticated identity
  std::uint32_t slot = 0;      // which of the agent's parallel links
  std::uint64_t start_id = 0;  // random, drawn once by the client's process
  std::uint64_t ordinal = 0;   // rises with every link that this process made for this slot
  std::uint64_t features = 0;
  MarkKey mark_key{};  // random, drawn once by the client's process
};

enum class Verdict : std::uint8_t { created = 1, resumed = 2, unknown = 3, refused = 4 };
// Ends of which a client may not know, and that say more to it than that its link is unknown.
inline bool tells_how_a_link_ended(Cause cause) {
  return cause == Cause::grace_expired || cause == Cause::client_restarted;
}

struct ServiceGrace {
  std::string service;
  Duration grace{};
};

// The services that the server grants this client, with their graces; who is not among them is not
// granted if the list is `whole`, which it is unless it does not fit WELCOME.
struct ServiceGrants {
  bool whole = true;
  bool destinations = false;  // OPENs that name no service, too
  std::vector<ServiceGrace> services;
};

// The server's answer. After `created` and `resumed` its table follows in TABLE frames.
struct Welcome {
  std::uint16_t version = kVersionMax;
  Verdict verdict = Verdict::created;
  Cause code = Cause::none;    // why, when refused; when unknown: how it ended, where that is known
  std::uint64_t instance = 0;  // random, drawn when the link was created; never 0 then
  std::string server;          // name
  Duration retry_after{};      // with refused: not before; 0 is "as you like"
  Duration grace{};            // of the link: the longest that any service may have
  Duration heartbeat{};        // 0: the client's own
  Duration dead_after{};       // 0: the client's own
  std::uint32_t max_streams = 0;
  std::uint64_t initial_credit = 0;  // limit of every new stream towards the server
  std::uint64_t features = 0;
  std::vector<ServiceGrace>
      services;  // those whose grace is not the link's; at most kMaxServiceGraces
  std::optional<ServiceGrants> grants;  // nothing: a server that does not tell
  Home home;
};

struct TableEntry {
  StreamId id;
  std::uint64_t received = 0;
  std::uint64_t delivered = 0;
  std::uint64_t limit = 0;
  bool opened = false;
};

// A decoded chunk; `entries` view the payload, read them with table_entry().
struct TableChunk {
  bool last = false;
  StreamId highest;
  Bytes entries;
  std::size_t count() const { return entries.size() / kTableEntrySize; }
  TableEntry entry(std::size_t index) const;
};

struct Open {
  StreamId id;
  std::uint64_t limit = 0;   // what the opener takes towards itself
  Endpoint source;           // the application's address
  Endpoint destination;      // where it meant to go, for interception; none otherwise
  std::string_view service;  // views the payload (decode) or the caller's text (encode)
};

struct Opened {
  StreamId id;
};
// The mark of the TCP connection that the server made for the stream.
struct Origin {
  StreamId id;
  std::uint64_t mark = 0;  // not 0
};
struct Fin {
  StreamId id;
  std::uint64_t offset = 0;
};
struct Abort {
  StreamId id;
  std::uint64_t offset = 0;
  Cause code = Cause::none;
};
struct Reset {
  StreamId id;
  Cause code = Cause::none;
};
struct AckEntry {
  StreamId id;
  std::uint64_t ack = 0;
  std::uint64_t limit = 0;
};
struct AckList {
  Bytes entries;
  std::size_t count() const { return entries.size() / kAckEntrySize; }
  AckEntry entry(std::size_t index) const;
};
struct Ping {
  std::uint64_t token = 0;
};
struct Goodbye {
  Cause reason = Cause::goodbye;
};

// A decoded SERVICES_DOWN: the names of services whose targets take no connections now; all others
// do. Views the payload.
struct ServicesDown {
  std::vector<std::string_view> names;
};

// The part of DATA before the application's bytes.
struct DataHeader {
  StreamId id;
  std::uint64_t offset = 0;
  std::uint64_t ack = 0;
  std::uint64_t limit = 0;
  std::uint32_t length = 0;  // application bytes that follow, 1..kMaxDataBytes
};

using Buffer = std::vector<std::uint8_t>;

void encode_hello(Buffer& out, const Hello& hello);
// Grants that do not fit any more are left out.
void encode_welcome(Buffer& out, const Welcome& welcome);
// Appends TABLE frames of at most kMaxTableEntries each; always at least one, the last one marked.
void encode_table(Buffer& out, StreamId highest, const std::vector<TableEntry>& entries);
// Names that do not fit a frame any more are left out.
void encode_services_down(Buffer& out, const std::vector<std::string>& names);

// The frames of a running link go to a caller's fixed buffer; they return the bytes written.
// `to` must hold kMaxSmallFrame bytes (OPEN: kMaxOpenFrame).
inline constexpr std::size_t kMaxSmallFrame = 64;
inline constexpr std::size_t kMaxOpenFrame = 160;
std::size_t encode_open(MutableBytes to, const Open& open);
std::size_t encode_opened(MutableBytes to, StreamId id);
std::size_t encode_origin(MutableBytes to, const Origin& origin);
std::size_t encode_data_header(MutableBytes to, const DataHeader& header);
std::size_t encode_fin(MutableBytes to, const Fin& fin);
std::size_t encode_abort(MutableBytes to, const Abort& abort);
std::size_t encode_reset(MutableBytes to, const Reset& reset);
std::size_t encode_ping(MutableBytes to, std::uint64_t token);
std::size_t encode_pong(MutableBytes to, std::uint64_t token);
std::size_t encode_drain(MutableBytes to);
std::size_t encode_goodbye_frame(MutableBytes to, Cause reason);
// ACK: begin with the header for `count` entries, then each entry.
std::size_t encode_ack_header(MutableBytes to, std::size_t count);
std::size_t encode_ack_entry(MutableBytes to, const AckEntry& entry);

Result<Hello> decode_hello(Bytes payload);
Result<Welcome> decode_welcome(Bytes payload);
Result<TableChunk> decode_table(Bytes payload);
Result<Open> decode_open(Bytes payload);
Result<Opened> decode_opened(Bytes payload);
Result<Origin> decode_origin(Bytes payload);
Result<Fin> decode_fin(Bytes payload);
Result<Abort> decode_abort(Bytes payload);
Result<Reset> decode_reset(Bytes payload);
Result<AckList> decode_ack(Bytes payload);
Result<Ping> decode_ping(Bytes payload);  // PING and PONG
Result<Goodbye> decode_goodbye(Bytes payload);
Result<ServicesDown> decode_services_down(Bytes payload);
DataHeader decode_data_header(const std::uint8_t* prefix, std::size_t payload_length);

// True for [A-Za-z0-9_.-]{1,64}.
bool valid_name(std::string_view name);

}  // namespace holdfast
