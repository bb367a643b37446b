// What the emulator reads of packets, and the middlebox that answers connects.
#include "tests/paths/packet.h"

#include "tests/catch.h"
#include "tests/paths/path.h"

namespace holdfast::paths {
namespace {

constexpr std::uint32_t kNear = 0x0acb0101, kFar = 0x0acb0102;

TcpHeader from_near(std::uint32_t sequence) {
  return TcpHeader{.source = kNear,
                   .destination = kFar,
                   .source_port = 40000,
                   .destination_port = 7443,
                   .sequence = sequence};
}

// RFC 1071 over all of it, its own checksum included, gives all ones.
std::uint32_t folded(PacketBytes bytes, std::uint32_t sum) {
  for (std::size_t at = 0; at + 1 < bytes.size(); at += 2) {
    sum += static_cast<std::uint32_t>(bytes[at] << 8 | bytes[at + 1]);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

Packet with_data(const TcpHeader& header, std::size_t data) {
  Packet out = make_tcp(header);
  out.resize(out.size() + data, 'x');
  out[2] = static_cast<std::uint8_t>(out.size() >> 8);
  out[3] = static_cast<std::uint8_t>(out.size());
  return out;
}

TEST_CASE("a made packet is read as what it was made of, and its checksums are right") {
  TcpHeader header = from_near(77);
  header.acked = 88;
  header.syn = header.ack = true;
  Packet packet = make_tcp(header);
  std::optional<TcpHeader> read = parse_tcp(packet);
  REQUIRE(read);
  CHECK(read->source == kNear);
  CHECK(read->destination == kFar);
  CHECK(read->source_port == 40000);
  CHECK(read->destination_port == 7443);
  CHECK(read->sequence == 77);
  CHECK(read->acked == 88);
  CHECK(read->syn);
  CHECK(read->ack);
  CHECK(!read->fin);
  CHECK(read->data_bytes == 0);
  CHECK(folded(PacketBytes(packet).first(20), 0) == 0xffff);
  std::uint32_t pseudo = folded(PacketBytes(packet).subspan(12, 8), 6 + 20);
  CHECK(folded(PacketBytes(packet).subspan(20), pseudo) == 0xffff);
}

TEST_CASE("packets that are cut short are none of TCP") {
  Packet packet = with_data(from_near(1), 100);
  CHECK(parse_tcp(packet)->data_bytes == 100);
  for (std::size_t size = 0; size < packet.size(); ++size) {
    CHECK(!parse_tcp(PacketBytes(packet).first(size)));
  }
}

TEST_CASE("a connection's packets are one flow in a direction, another's are another") {
  TcpHeader header = from_near(1);
  std::uint64_t flow = flow_of(make_tcp(header));
  header.sequence = 99;
  CHECK(flow_of(with_data(header, 500)) == flow);
  header.source_port = 40001;
  CHECK(flow_of(make_tcp(header)) != flow);
  CHECK(flow_of(PacketBytes{}) == 0);
}

TEST_CASE("the middlebox passes all on until it is told to answer") {
  SynBox box;
  TcpHeader syn = from_near(1);
  syn.syn = true;
  CHECK(!box.take(make_tcp(syn)));
  CHECK(!box.take(make_tcp(from_near(2))));
}

TEST_CASE("a connect that the middlebox answered leads nowhere, also later") {
  Path path(Shape{}, 1);
  path.box.answer_syns(true);
  TcpHeader syn = from_near(1);
  syn.syn = true;
  path.from_near(Nanos(0), make_tcp(syn));
  CHECK(!path.up.take(Nanos(0)));
  std::optional<Packet> answer = path.down.take(Nanos(0));
  REQUIRE(answer);
  std::optional<TcpHeader> header = parse_tcp(*answer);
  REQUIRE(header);
  CHECK((header->syn && header->ack));
  CHECK(header->acked == 2);
  CHECK(header->destination == kNear);

  path.box.answer_syns(false);
  path.from_near(Nanos(0), with_data(from_near(2), 100));
  CHECK(!path.up.take(Nanos(0)));
  answer = path.down.take(Nanos(0));
  REQUIRE(answer);
  CHECK(parse_tcp(*answer)->acked == 102);
}

TEST_CASE("the middlebox acknowledges only what comes in order") {
  SynBox box;
  box.answer_syns(true);
  TcpHeader syn = from_near(1);
  syn.syn = true;
  REQUIRE(box.take(make_tcp(syn)));
  std::optional<SynBox::Taken> taken = box.take(with_data(from_near(500), 10));
  REQUIRE(taken);
  CHECK(parse_tcp(*taken->answer)->acked == 2);
}

TEST_CASE("connections from before, and others, pass the middlebox") {
  SynBox box;
  box.answer_syns(true);
  TcpHeader old = from_near(9000);
  old.source_port = 50000;
  CHECK(!box.take(with_data(old, 10)));
}

TEST_CASE("after a reset the middlebox knows the connection no more") {
  SynBox box;
  box.answer_syns(true);
  TcpHeader syn = from_near(1);
  syn.syn = true;
  REQUIRE(box.take(make_tcp(syn)));
  TcpHeader reset = from_near(2);
  reset.reset = true;
  REQUIRE(box.take(make_tcp(reset)));
  CHECK(box.connections() == 0);
}

}  // namespace
}  // namespace holdfast::paths
