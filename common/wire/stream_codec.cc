// The frames of a running link: small, fixed layouts.
#include "common/wire/coding.h"
#include "common/wire/frames.h"

namespace holdfast {
namespace {

void put_header(Writer& writer, FrameType type, std::size_t length) {
  writer.integer(static_cast<std::uint32_t>((static_cast<std::uint32_t>(type) << 24) |
                                            static_cast<std::uint32_t>(length)));
}

std::size_t encode_token(MutableBytes to, FrameType type, std::uint64_t token) {
  Writer writer(to);
  put_header(writer, type, 8);
  writer.integer(token);
  return writer.size();
}

std::size_t endpoint_size(const Endpoint& endpoint) {
  switch (endpoint.family) {
    case EndpointFamily::ipv4:
      return 1 + 4 + 2;
    case EndpointFamily::ipv6:
      return 1 + 16 + 2;
    default:
      return 1;
  }
}

void put_endpoint(Writer& writer, const Endpoint& endpoint) {
  writer.integer(static_cast<std::uint8_t>(endpoint.family));
  std::size_t size = endpoint_size(endpoint);
  if (size == 1) return;
  writer.bytes(Bytes(endpoint.address).first(size - 3));
  writer.integer(endpoint.port);
}

bool read_endpoint(Reader& reader, Endpoint& endpoint) {
  auto family = reader.integer<std::uint8_t>();
  if (family != 0 && family != 1 && family != 4 && family != 6) return false;
  endpoint.family = static_cast<EndpointFamily>(family);
  std::size_t size = endpoint_size(endpoint);
  if (size == 1) return !reader.failed();
  Bytes address = reader.bytes(size - 3);
  endpoint.port = reader.integer<std::uint16_t>();
  if (reader.failed()) return false;
  std::memcpy(endpoint.address.data(), address.data(), address.size());
  return true;
}

Error bad(std::string_view frame) {
  return Error{"malformed " + std::string(frame) + ": wrong length or value"};
}

}  // namespace

std::size_t encode_open(MutableBytes to, const Open& open) {
  Writer writer(to);
  put_header(
      writer, FrameType::open,
      16 + endpoint_size(open.source) + endpoint_size(open.destination) + 1 + open.service.size());
  writer.integer(open.id.value);
  writer.integer(open.limit);
  put_endpoint(writer, open.source);
  put_endpoint(writer, open.destination);
  writer.short_text(open.service);
  return writer.size();
}

Result<Open> decode_open(Bytes payload) {
  Reader reader(payload);
  Open open;
  open.id = StreamId{reader.integer<std::uint64_t>()};
  open.limit = reader.integer<std::uint64_t>();
  if (!read_endpoint(reader, open.source)) return bad("OPEN");
  if (!read_endpoint(reader, open.destination)) return bad("OPEN");
  open.service = reader.short_text();
  if (!reader.complete() || open.limit > kMaxLimit) return bad("OPEN");
  // Empty: the destination decides.
  if (!open.service.empty() && !valid_name(open.service)) return bad("OPEN");
  return open;
}

std::size_t encode_opened(MutableBytes to, StreamId id) {
  return encode_token(to, FrameType::opened, id.value);
}

Result<Opened> decode_opened(Bytes payload) {
  Reader reader(payload);
  Opened opened{StreamId{reader.integer<std::uint64_t>()}};
  if (!reader.complete()) return bad("OPENED");
  return opened;
}

std::size_t encode_origin(MutableBytes to, const Origin& origin) {
  Writer writer(to);
  put_header(writer, FrameType::origin, 16);
  writer.integer(origin.id.value);
  writer.integer(origin.mark);
  return writer.size();
}

Result<Origin> decode_origin(Bytes payload) {
  Reader reader(payload);
  Origin origin;
  origin.id = StreamId{reader.integer<std::uint64_t>()};
  origin.mark = reader.integer<std::uint64_t>();
  if (!reader.complete() || origin.mark == 0) return bad("ORIGIN");
  return origin;
}

std::size_t encode_data_header(MutableBytes to, const DataHeader& header) {
  Writer writer(to);
  put_header(writer, FrameType::data, kDataPrefixSize + header.length);
  writer.integer(header.id.value);
  writer.integer(header.offset);
  writer.integer(header.ack);
  writer.integer(header.limit);
  return writer.size();
}

DataHeader decode_data_header(const std::uint8_t* prefix, std::size_t payload_length) {
  DataHeader header;
  header.id = StreamId{load_big_endian<std::uint64_t>(prefix)};
  header.offset = load_big_endian<std::uint64_t>(prefix + 8);
  header.ack = load_big_endian<std::uint64_t>(prefix + 16);
  header.limit = load_big_endian<std::uint64_t>(prefix + 24);
  header.length = static_cast<std::uint32_t>(payload_length - kDataPrefixSize);
  return header;
}

std::size_t encode_fin(MutableBytes to, const Fin& fin) {
  Writer writer(to);
  put_header(writer, FrameType::fin, kFinPayloadSize);
  writer.integer(fin.id.value);
  writer.integer(fin.offset);
  return writer.size();
}

Result<Fin> decode_fin(Bytes payload) {
  Reader reader(payload);
  Fin fin;
  fin.id = StreamId{reader.integer<std::uint64_t>()};
  fin.offset = reader.integer<std::uint64_t>();
  if (!reader.complete()) return bad("FIN");
  return fin;
}

std::size_t encode_abort(MutableBytes to, const Abort& abort) {
  Writer writer(to);
  put_header(writer, FrameType::abort, 18);
  writer.integer(abort.id.value);
  writer.integer(abort.offset);
  writer.integer(static_cast<std::uint16_t>(abort.code));
  return writer.size();
}

Result<Abort> decode_abort(Bytes payload) {
  Reader reader(payload);
  Abort abort;
  abort.id = StreamId{reader.integer<std::uint64_t>()};
  abort.offset = reader.integer<std::uint64_t>();
  abort.code = cause_from_code(reader.integer<std::uint16_t>());
  if (!reader.complete()) return bad("ABORT");
  return abort;
}

std::size_t encode_reset(MutableBytes to, const Reset& reset) {
  Writer writer(to);
  put_header(writer, FrameType::reset, 10);
  writer.integer(reset.id.value);
  writer.integer(static_cast<std::uint16_t>(reset.code));
  return writer.size();
}

Result<Reset> decode_reset(Bytes payload) {
  Reader reader(payload);
  Reset reset;
  reset.id = StreamId{reader.integer<std::uint64_t>()};
  reset.code = cause_from_code(reader.integer<std::uint16_t>());
  if (!reader.complete()) return bad("RESET");
  return reset;
}

std::size_t encode_ack_header(MutableBytes to, std::size_t count) {
  HOLDFAST_CHECK(count >= 1 && count <= kMaxAckEntries);
  Writer writer(to);
  put_header(writer, FrameType::ack, count * kAckEntrySize);
  return writer.size();
}

std::size_t encode_ack_entry(MutableBytes to, const AckEntry& entry) {
  Writer writer(to);
  writer.integer(entry.id.value);
  writer.integer(entry.ack);
  writer.integer(entry.limit);
  return writer.size();
}

Result<AckList> decode_ack(Bytes payload) {
  if (payload.empty() || payload.size() % kAckEntrySize != 0) return bad("ACK");
  return AckList{payload};
}

AckEntry AckList::entry(std::size_t index) const {
  const std::uint8_t* at = entries.data() + index * kAckEntrySize;
  return {StreamId{load_big_endian<std::uint64_t>(at)}, load_big_endian<std::uint64_t>(at + 8),
          load_big_endian<std::uint64_t>(at + 16)};
}

std::size_t encode_ping(MutableBytes to, std::uint64_t token) {
  return encode_token(to, FrameType::ping, token);
}

std::size_t encode_pong(MutableBytes to, std::uint64_t token) {
  return encode_token(to, FrameType::pong, token);
}

Result<Ping> decode_ping(Bytes payload) {
  Reader reader(payload);
  Ping ping{reader.integer<std::uint64_t>()};
  if (!reader.complete()) return bad("PING or PONG");
  return ping;
}

std::size_t encode_drain(MutableBytes to) {
  Writer writer(to);
  put_header(writer, FrameType::drain, 0);
  return writer.size();
}

std::size_t encode_goodbye_frame(MutableBytes to, Cause reason) {
  Writer writer(to);
  put_header(writer, FrameType::goodbye, 2);
  writer.integer(static_cast<std::uint16_t>(reason));
  return writer.size();
}

Result<Goodbye> decode_goodbye(Bytes payload) {
  Reader reader(payload);
  Goodbye goodbye{cause_from_code(reader.integer<std::uint16_t>())};
  if (!reader.complete()) return bad("GOODBYE");
  return goodbye;
}

}  // namespace holdfast
