#include "tests/paths/syn_box.h"

namespace holdfast::paths {
namespace {

constexpr std::uint32_t kOwnSequence = 1000;

Packet answer(const TcpHeader& to, std::uint32_t expected, bool syn) {
  return make_tcp(TcpHeader{.source = to.destination,
                            .destination = to.source,
                            .source_port = to.destination_port,
                            .destination_port = to.source_port,
                            .sequence = syn ? kOwnSequence : kOwnSequence + 1,
                            .acked = expected,
                            .syn = syn,
                            .ack = true});
}

}  // namespace

std::optional<SynBox::Taken> SynBox::take(PacketBytes packet) {
  std::optional<TcpHeader> header = parse_tcp(packet);
  if (!header) return std::nullopt;
  Key key{header->source, header->destination, header->source_port, header->destination_port};
  if (header->syn && !header->ack) {
    if (!answers_) {
      connections_.erase(key);
      return std::nullopt;
    }
    connections_[key].expected = header->sequence + 1;
    ++answered_;
    return Taken{answer(*header, header->sequence + 1, true)};
  }
  auto found = connections_.find(key);
  if (found == connections_.end()) return std::nullopt;
  if (header->reset) {
    connections_.erase(found);
    return Taken{};
  }
  if (header->data_bytes == 0 && !header->fin) return Taken{};
  std::uint32_t& expected = found->second.expected;
  if (header->sequence == expected) expected += header->data_bytes + (header->fin ? 1 : 0);
  return Taken{answer(*header, expected, false)};
}

}  // namespace holdfast::paths
