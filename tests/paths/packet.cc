#include "tests/paths/packet.h"

namespace holdfast::paths {
namespace {

constexpr std::size_t kIpv4Header = 20, kIpv6Header = 40, kTcpHeader = 20;
constexpr std::uint8_t kTcp = 6, kUdp = 17;
constexpr std::uint8_t kFin = 1, kSyn = 2, kReset = 4, kAck = 16;

std::uint16_t get16(PacketBytes bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

std::uint32_t get32(PacketBytes bytes, std::size_t at) {
  return std::uint32_t{get16(bytes, at)} << 16 | get16(bytes, at + 2);
}

void put16(Packet& out, std::size_t at, std::uint32_t value) {
  out[at] = static_cast<std::uint8_t>(value >> 8);
  out[at + 1] = static_cast<std::uint8_t>(value);
}

void put32(Packet& out, std::size_t at, std::uint32_t value) {
  put16(out, at, value >> 16);
  put16(out, at + 2, value & 0xffff);
}

std::uint64_t mix(std::uint64_t hash, PacketBytes bytes) {
  for (std::uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3;  // FNV-1a
  return hash;
}

// RFC 1071, not yet complemented.
std::uint32_t sum16(PacketBytes bytes, std::uint32_t sum = 0) {
  for (std::size_t at = 0; at + 1 < bytes.size(); at += 2) sum += get16(bytes, at);
  return sum;
}

std::uint32_t checksum(std::uint32_t sum) {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

}  // namespace

std::uint64_t flow_of(PacketBytes packet) {
  if (packet.size() < kIpv4Header) return 0;
  std::uint64_t hash = 0xcbf29ce484222325;
  std::size_t header = 0;
  std::uint8_t protocol = 0;
  if (packet[0] >> 4 == 4) {
    header = std::size_t{packet[0] & 0xfu} * 4;
    protocol = packet[9];
    hash = mix(hash, packet.subspan(12, 8));
  } else if (packet[0] >> 4 == 6 && packet.size() >= kIpv6Header) {
    header = kIpv6Header;
    protocol = packet[6];
    hash = mix(hash, packet.subspan(8, 32));
  } else {
    return 0;
  }
  hash = mix(hash, PacketBytes(&protocol, 1));
  bool ports = protocol == kTcp || protocol == kUdp;
  if (ports && packet.size() >= header + 4) hash = mix(hash, packet.subspan(header, 4));
  return hash == 0 ? 1 : hash;
}

std::optional<TcpHeader> parse_tcp(PacketBytes packet) {
  if (packet.size() < kIpv4Header || packet[0] >> 4 != 4 || packet[9] != kTcp) return std::nullopt;
  if ((get16(packet, 6) & 0x3fff) != 0) return std::nullopt;
  std::size_t at = std::size_t{packet[0] & 0xfu} * 4, total = get16(packet, 2);
  if (packet.size() < at + kTcpHeader || total > packet.size()) return std::nullopt;
  std::size_t data = at + std::size_t{packet[at + 12]} / 16 * 4;
  if (total < data) return std::nullopt;
  std::uint8_t flags = packet[at + 13];
  return TcpHeader{.source = get32(packet, 12),
                   .destination = get32(packet, 16),
                   .source_port = get16(packet, at),
                   .destination_port = get16(packet, at + 2),
                   .sequence = get32(packet, at + 4),
                   .acked = get32(packet, at + 8),
                   .syn = (flags & kSyn) != 0,
                   .ack = (flags & kAck) != 0,
                   .fin = (flags & kFin) != 0,
                   .reset = (flags & kReset) != 0,
                   .data_bytes = static_cast<std::uint32_t>(total - data)};
}

Packet make_tcp(const TcpHeader& header) {
  constexpr std::size_t kSize = kIpv4Header + kTcpHeader;
  Packet out(kSize, 0);
  out[0] = 0x45;
  put16(out, 2, kSize);
  put16(out, 6, 0x4000);  // do not fragment
  out[8] = 64;
  out[9] = kTcp;
  put32(out, 12, header.source);
  put32(out, 16, header.destination);
  put16(out, 10, checksum(sum16(PacketBytes(out).first(kIpv4Header))));
  put16(out, 20, header.source_port);
  put16(out, 22, header.destination_port);
  put32(out, 24, header.sequence);
  put32(out, 28, header.acked);
  out[32] = kTcpHeader / 4 << 4;
  out[33] = static_cast<std::uint8_t>((header.syn ? kSyn : 0) | (header.ack ? kAck : 0) |
                                      (header.fin ? kFin : 0) | (header.reset ? kReset : 0));
  put16(out, 34, 0xffff);
  std::uint32_t pseudo = sum16(PacketBytes(out).subspan(12, 8), kTcp + kTcpHeader);
  put16(out, 36, checksum(sum16(PacketBytes(out).subspan(kIpv4Header), pseudo)));
  return out;
}

}  // namespace holdfast::paths
