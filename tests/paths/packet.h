// An IP packet on its way, and what a path reads of it: which flow it is of, and TCP's header.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace holdfast::paths {

// The emulator's clock: CLOCK_MONOTONIC, an argument everywhere but in main.cc.
using Nanos = std::chrono::nanoseconds;

using Packet = std::vector<std::uint8_t>;
using PacketBytes = std::span<const std::uint8_t>;

// Addresses, protocol and ports hashed: the same for all packets of one direction of a connection.
// Never 0 for an IP packet; what is not one is flow 0.
std::uint64_t flow_of(PacketBytes packet);

// Of an IPv4 TCP packet. Ports and addresses are in host order.
struct TcpHeader {
  std::uint32_t source = 0, destination = 0;
  std::uint16_t source_port = 0, destination_port = 0;
  std::uint32_t sequence = 0, acked = 0;
  bool syn = false, ack = false, fin = false, reset = false;
  std::uint32_t data_bytes = 0;
};

// Nothing for another protocol, a fragment or a packet that is cut short.
std::optional<TcpHeader> parse_tcp(PacketBytes packet);

// A packet without data that says what `header` says, with right checksums and a full window.
Packet make_tcp(const TcpHeader& header);

}  // namespace holdfast::paths
