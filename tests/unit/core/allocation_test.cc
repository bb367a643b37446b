// In steady state the data path takes no memory from the heap.
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "common/core/pump.h"
#include "tests/catch.h"
#include "tests/unit/core/scripted_peer.h"

namespace {

bool counting = false;
std::uint64_t allocations = 0;
std::int64_t alive = 0;  // allocations not given back

void* counted(std::size_t size) {
  if (counting) allocations += 1;
  alive += 1;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  std::abort();
}

void give_back(void* memory) noexcept {
  if (memory != nullptr) alive -= 1;
  std::free(memory);
}

}  // namespace

// The whole test binary counts; only this file looks.
void* operator new(std::size_t size) {
  return counted(size);
}
void* operator new[](std::size_t size) {
  return counted(size);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return counted(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return counted(size);
}
void operator delete(void* memory) noexcept {
  give_back(memory);
}
void operator delete[](void* memory) noexcept {
  give_back(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  give_back(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  give_back(memory);
}

namespace holdfast {

using namespace test;

namespace {

// The least driver: moves bytes between two links without memory of its own.
struct Exchange {
  Link& from;
  Link& to;
  CarrierId carrier;
  std::vector<std::uint8_t> wire;

  void deliver(Time now) {
    while (auto effect = to.poll_effect(now)) {
      if (auto* data = std::get_if<effect::Deliver>(&*effect)) {
        to.delivered(now, data->stream, data->bytes.size());
      }
    }
  }
  void move(Time now) {
    while (auto gather = from.poll_transmit(now, tuning::kMaxGather)) {
      std::size_t size = 0;
      for (const iovec& part : gather->buffers) {
        std::memcpy(wire.data() + size, part.iov_base, part.iov_len);
        size += part.iov_len;
      }
      from.written(now, size);
      to.carrier_bytes(now, carrier, Bytes(wire.data(), size));
      deliver(now);
    }
    while (from.poll_effect(now)) {
    }
  }
};

// What a pump writes to, a part of each gather at a time; the peer gets it whole.
class Narrow final : public Pump::Port {
 public:
  explicit Narrow(Link& link) : pump(link, *this), link_(link), wire_(kMiB) {}

  Pump pump;
  Time now{};
  std::uint64_t cut = 0;  // writes that took a part

  void wants_turn() override {}
  void perform(const Effect& effect) override {
    if (const auto* data = std::get_if<effect::Deliver>(&effect)) {
      link_.delivered(now, data->stream, data->bytes.size());
    }
  }
  void connect(StreamHandle) override {}
  bool read_once(CarrierId) override { return true; }
  bool writable(CarrierId) const override { return room_ != 0; }
  std::size_t write(CarrierId, std::span<const iovec> buffers) override {
    std::size_t taken = 0, asked = 0;
    for (const iovec& buffer : buffers) {
      std::size_t size = std::min(room_, buffer.iov_len);
      std::memcpy(wire_.data() + used_, buffer.iov_base, size);
      used_ += size;
      taken += size;
      room_ -= size;
      asked += buffer.iov_len;
    }
    if (taken < asked) cut += 1;
    return taken;
  }
  void finish(CarrierId) override {}

  // Turns until nothing is left, with room for a few bytes each time; then the other end has it.
  void move(Narrow& to, CarrierId carrier) {
    for (std::size_t before = SIZE_MAX; before != used_;) {
      before = used_;
      room_ = 1500;
      pump.turn(now);
    }
    if (used_ == 0) return;
    CHECK(to.pump.prepare_read(now));
    to.pump.carrier_bytes(now, carrier, Bytes(wire_.data(), std::exchange(used_, 0)));
  }

 private:
  Link& link_;
  std::vector<std::uint8_t> wire_;
  std::size_t used_ = 0;
  std::size_t room_ = 0;
};

void write_some(Link& link, Time now, StreamHandle stream, std::size_t size) {
  iovec room[4];
  std::size_t count = link.prepare(stream, size, room);
  std::size_t got = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::memset(room[i].iov_base, 'x', room[i].iov_len);
    got += room[i].iov_len;
  }
  if (count != 0) link.commit(now, stream, got);
}

}  // namespace

TEST_CASE("ten thousand exchanges of DATA and ACK take nothing from the heap") {
  LinkPair pair;
  std::vector<std::uint64_t> ids;
  for (int i = 0; i < 8; ++i) ids.push_back(pair.open());
  pair.run_for(milliseconds(10));
  Exchange up{*pair.client.link, *pair.server.link, CarrierId{1}, std::vector<std::uint8_t>(kMiB)};
  Exchange down{*pair.server.link, *pair.client.link, CarrierId{1},
                std::vector<std::uint8_t>(kMiB)};
  Time now = pair.now();
  auto exchange = [&](int round) {
    now += milliseconds(1);
    auto id = ids[static_cast<std::size_t>(round) % ids.size()];
    write_some(*pair.client.link, now, pair.client.app(id).handle, 100 + (round % 7) * 1000);
    write_some(*pair.server.link, now, pair.server.app(id).handle, 1 + round % 3000);
    up.move(now);
    down.move(now);
    up.move(now);
    if (pair.client.link->next_timeout() <= now) pair.client.link->timeout(now);
    if (pair.server.link->next_timeout() <= now) pair.server.link->timeout(now);
  };
  for (int round = 0; round < 10000; ++round) exchange(round);  // buffers reach their size
  std::uint64_t before = pair.server.link->counters().received_bytes;
  allocations = 0;
  counting = true;
  for (int round = 0; round < 10000; ++round) exchange(round);
  counting = false;
  CHECK(allocations == 0);
  CHECK(pair.server.link->counters().received_bytes > before + 10 * kMiB);
  CHECK(pair.client.link->live());
}

TEST_CASE("a pump whose carrier takes parts of its gathers takes nothing from the heap") {
  LinkPair pair;
  std::vector<std::uint64_t> ids;
  for (int i = 0; i < 8; ++i) ids.push_back(pair.open());
  pair.run_for(milliseconds(10));
  Narrow client(*pair.client.link), server(*pair.server.link);
  Time now = pair.now();
  auto exchange = [&](int round) {
    now += milliseconds(1);
    client.now = server.now = now;
    for (int each = 0; each < 3; ++each) {
      auto id = ids[static_cast<std::size_t>(round + each) % ids.size()];
      write_some(*pair.client.link, now, pair.client.app(id).handle, 100 + (round % 7) * 1000);
      write_some(*pair.server.link, now, pair.server.app(id).handle, 1 + round % 3000);
    }
    client.move(server, CarrierId{1});
    server.move(client, CarrierId{1});
    client.move(server, CarrierId{1});
  };
  for (int round = 0; round < 5000; ++round) exchange(round);  // buffers reach their size
  std::uint64_t before = client.cut;
  allocations = 0;
  counting = true;
  for (int round = 0; round < 5000; ++round) exchange(round);
  counting = false;
  CHECK(allocations == 0);
  CHECK(client.cut > before + 5000);
  CHECK(pair.client.link->live());
}

TEST_CASE("a peer that opens and ends streams fast leaves nothing of them behind") {
  ScriptedPeer peer(LinkOptions::Role::server);
  std::uint64_t id = 0;
  auto open_and_end = [&] {
    id += 1;
    peer.receive(open_frame(id, 4096, "echo"));
    peer.end.app(id).appetite = 0;
    peer.receive_data(id, 0, "unread");
    peer.receive(abort_frame(id, 6, Cause::other));
    peer.receive(reset_frame(id, Cause::other));
    peer.end.apps.clear();
    peer.end.log.clear();
  };
  for (int i = 0; i < 500; ++i) open_and_end();
  std::int64_t before = alive;
  for (int i = 0; i < 20000; ++i) open_and_end();
  CHECK(alive <= before + 20);
  CHECK(peer.link().live());
}

}  // namespace holdfast
