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
    : client_(kMemory, streams),
      server_(kMemory, streams),
      registry_({"hub", options(LinkOptions::Role::server, streams)}, server_.pool, 1),
      client_link_(std::make_unique<Link>(options(LinkOptions::Role::client, streams), client_.pool,
                                          LinkId{{1}}, 0)),
      wire_(2 * tuning::kMaxGather),
      payload_(kMiB, 'x') {
  client_.link = client_link_.get();
  greet();
}

void Lane::greet() {
  client_.link->carrier_up(now_, kCarrier, Duration{});
  drain(client_);
  auto hello = client_.link->poll_transmit(now_, tuning::kMaxGather);
  HOLDFAST_CHECK(hello.has_value());
  HelloReader reader(1000);
  for (const iovec& part : hello->buffers) {
    reader.feed({static_cast<const std::uint8_t*>(part.iov_base), part.iov_len});
  }
  client_.link->written(now_, hello->bytes);
  HOLDFAST_CHECK(reader.state() == HelloReader::State::complete);
  ClientPolicy policy;
  policy.name = kClient;
  policy.services = {{"echo", seconds(300)}};
  auto decision = registry_.hello(now_, kCarrier, policy, std::move(reader.request()));
  auto* accepted = std::get_if<LinkRegistry::Accepted>(&decision);
  HOLDFAST_CHECK(accepted != nullptr);
  server_.link = accepted->link;
  settle();
  HOLDFAST_CHECK(client_.link->live() && server_.link->live());
}

void Lane::drain(End& end) {
  while (auto effect = end.link->poll_effect(now_)) {
    std::visit(overloaded{
                   [&](const effect::Deliver& e) {
                     end.delivered += e.bytes.size();
                     end.link->delivered(now_, e.stream, e.bytes.size());
                   },
                   [&](const effect::DeliverFin& e) {
                     end.link->fin_delivered(now_, e.stream);
                     end.link->finish(now_, e.stream);
                   },
                   [&](const effect::ConnectTarget& e) { end.link->opened(now_, e.stream); },
                   [](const auto&) {},
               },
               *effect);
  }
}

bool Lane::carry(End& from, End& to) {
  auto gather = from.link->poll_transmit(now_, tuning::kMaxGather);
  if (!gather) return false;
  std::size_t size = 0;
  for (const iovec& part : gather->buffers) {
    std::memcpy(wire_.data() + size, part.iov_base, part.iov_len);
    size += part.iov_len;
  }
  from.link->written(now_, size);
  drain(from);
  to.link->carrier_bytes(now_, kCarrier, {wire_.data(), size});
  drain(to);
  return true;
}

void Lane::settle() {
  drain(client_);
  drain(server_);
  while (true) {
    bool up = carry(client_, server_);
    bool down = carry(server_, client_);
    if (!up && !down) return;
  }
}

void Lane::let_acks_go() {
  now_ += tuning::kAckDelay;
  server_.link->timeout(now_);
  client_.link->timeout(now_);
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
