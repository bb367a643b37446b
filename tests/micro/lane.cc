#include "tests/micro/lane.h"

#include <algorithm>
#include <cstring>

#include "common/base/check.h"
#include "common/base/overloaded.h"
#include "common/core/hello_reader.h"

namespace holdfast::micro {
namespace {

constexpr std::uint64_t kMemory = 512 * kMiB;
constexpr char kClient[] = "edge";

LinkOptions options(LinkOptions::Role role, std::uint32_t streams) {
  LinkOptions link;
  link.role = role;
  link.name = role == LinkOptions::Role::client ? kClient : "hub";
  link.services = {{"echo", seconds(300)}};
  link.max_streams = streams;
  link.start_id = 1;
  return link;
}

}  // namespace

Lane::Lane(std::uint32_t streams)
    : client_(*this, kMemory, streams),
      server_(*this, kMemory, streams),
      registry_({"hub", options(LinkOptions::Role::server, streams)}, server_.pool, 1),
      client_link_(std::make_unique<Link>(options(LinkOptions::Role::client, streams), client_.pool,
                                          LinkId{{1}}, 0)),
      wire_(2 * tuning::kMaxGather),
      payload_(kMiB, 'x') {
  client_.drive(*client_link_);
  greet();
}

void Lane::greet() {
  client_.link->carrier_up(now_, kCarrier, Duration{});
  HelloReader reader(1000);
  reader.feed(turn(client_));
  HOLDFAST_CHECK(reader.state() == HelloReader::State::complete);
  ClientPolicy policy;
  policy.name = kClient;
  policy.services = {{"echo", seconds(300)}};
  auto decision = registry_.hello(now_, kCarrier, policy, std::move(reader.request()));
  auto* accepted = std::get_if<LinkRegistry::Accepted>(&decision);
  HOLDFAST_CHECK(accepted != nullptr);
  server_.drive(*accepted->link);
  settle();
  HOLDFAST_CHECK(client_.link->live() && server_.link->live());
}

void Lane::End::drive(Link& driven) {
  link = &driven;
  pump.emplace(driven, *this, Pump::Budget{SIZE_MAX, SIZE_MAX, 1, tuning::kMaxGather});
}

void Lane::End::perform(const Effect& effect) {
  std::visit(overloaded{
                 [&](const effect::Deliver& e) {
                   delivered += e.bytes.size();
                   link->delivered(lane.now_, e.stream, e.bytes.size());
                 },
                 [&](const effect::DeliverFin& e) {
                   link->fin_delivered(lane.now_, e.stream);
                   link->finish(lane.now_, e.stream);
                 },
                 [](const auto&) {},
             },
             effect);
}

std::size_t Lane::End::write(CarrierId, std::span<const iovec> buffers) {
  std::size_t before = lane.written_;
  for (const iovec& part : buffers) {
    std::memcpy(lane.wire_.data() + lane.written_, part.iov_base, part.iov_len);
    lane.written_ += part.iov_len;
  }
  return lane.written_ - before;
}

Bytes Lane::turn(End& end) {
  written_ = 0;
  end.pump->turn(now_);
  return {wire_.data(), written_};
}

bool Lane::carry(End& from, End& to) {
  Bytes bytes = turn(from);
  if (bytes.empty()) return false;
  HOLDFAST_CHECK(to.pump->prepare_read(now_));
  to.pump->carrier_bytes(now_, kCarrier, bytes);
  return true;
}

void Lane::settle() {
  while (true) {
    bool up = carry(client_, server_);
    bool down = carry(server_, client_);
    if (!up && !down) return;
  }
}

void Lane::let_acks_go() {
  now_ += tuning::kAckDelay;
  settle();
}

std::size_t Lane::open() {
  auto stream = client_.link->open(now_, {});
  HOLDFAST_CHECK(stream.ok());
  client_.streams.push_back(*stream);
  return client_.streams.size() - 1;
}

void Lane::close(std::size_t stream) {
  client_.link->finish(now_, client_.streams[stream]);
  settle();
}

void Lane::write(std::size_t stream, std::size_t size) {
  StreamHandle handle = client_.streams[stream];
  while (size != 0) {
    iovec room[64];
    std::size_t count = client_.link->prepare(handle, size, room);
    if (count == 0) {
      client_.link->commit(now_, handle, 0);
      settle();
      let_acks_go();
      continue;
    }
    std::size_t filled = 0;
    for (std::size_t i = 0; i < count && filled < size; ++i) {
      std::size_t part = std::min(room[i].iov_len, size - filled);
      std::memcpy(room[i].iov_base, payload_.data(), part);
      filled += part;
    }
    client_.link->commit(now_, handle, filled);
    size -= filled;
  }
}

}  // namespace holdfast::micro
