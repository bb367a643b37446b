#include "common/core/recovery.h"

#include <cstring>
#include <map>

#include "tests/unit/core/link_pair.h"

namespace holdfast {

using namespace test;

namespace {

// Sockets are where their records say, but for those that a test says otherwise of.
struct Sockets final : SocketJudge {
  std::map<int, std::optional<SocketPosition>> others;
  std::optional<SocketPosition> look(const StreamRecord& record, Intent::Operation) override {
    auto found = others.find(record.descriptor());
    if (found != others.end()) return found->second;
    std::uint64_t written = std::min(record.receive.delivered(), record.receive.received_bytes());
    return SocketPosition{record.send.committed(), written};
  }
};

// A pair with streams, whose client dies.
struct Death {
  LinkPair pair;
  MemoryPool pool{64 * kMiB, 1000};
  Sockets sockets;
  Recovered recovered;
  std::vector<std::byte> relics;

  std::uint64_t open(int descriptor) {
    std::uint64_t id = pair.open();
    pair.client.link->attach(pair.client.app(id).handle, {descriptor, 0, 0});
    return id;
  }
  StreamRecord& record(std::uint64_t id) {
    OldState old = state();
    for (const OldState::Stream& each : old.links().front().streams) {
      if (each.record->id == id) return const_cast<StreamRecord&>(*each.record);
    }
    FAIL("no such stream");
    std::abort();
  }
  std::span<BlockInfo> infos() {
    const auto& shape = header(relics).shape;
    return {reinterpret_cast<BlockInfo*>(relics.data() + shape.infos_at), shape.blocks};
  }
  // The block after a stream's second.
  void lead_on(std::uint64_t stream, BlockIndex next) {
    for (BlockInfo& each : infos()) {
      if (each.stream == stream && each.offset == 4096) each.next = next;
    }
  }
  void die() {
    auto bytes = pair.client.pool.region.bytes();
    relics.assign(bytes.begin(),
                  bytes.begin() + static_cast<std::ptrdiff_t>(header(bytes).shape.blocks_at +
                                                              64 * tuning::kBlockSize));
    const_cast<RegionHeader&>(header(relics)).shape.blocks = 64;
  }
  static const RegionHeader& header(std::span<const std::byte> bytes) {
    return *reinterpret_cast<const RegionHeader*>(bytes.data());
  }
  OldState state() {
    auto state = OldState::read(relics);
    REQUIRE(state.ok());
    return *state;
  }
  std::unique_ptr<Link> recover() {
    OldState old = state();
    REQUIRE(old.links().size() == 1);
    LinkOptions options = pair.client.link->options();
    return Link::recover(pair.now(), options, pool, old, old.links().front(), sockets, recovered);
  }
};

}  // namespace

TEST_CASE("a link goes on as what it was, detached") {
  Death death;
  std::uint64_t id = death.open(10);
  death.pair.run_for(milliseconds(100));
  death.pair.client.write(id, "hello");
  death.pair.run_for(milliseconds(100));
  Link& old = *death.pair.client.link;
  death.die();
  auto link = death.recover();
  CHECK(link->id() == old.id());
  CHECK(link->instance() == old.instance());
  CHECK(link->attempt() == old.attempt());
  CHECK(link->server_name() == "gate");
  CHECK(link->detached());
  CHECK(link->grace_deadline() == death.pair.now() + seconds(300));
  REQUIRE(death.recovered.streams.size() == 1);
  CHECK(death.recovered.lost.empty());
  CHECK(death.recovered.streams[0].descriptor == 10);
  CHECK(death.recovered.streams[0].socket == RecoveredStream::Socket::goes_on);
  CHECK(link->find_stream(death.pair.now(), StreamId{id}, nullptr)->sent_bytes == 5);
  link->check_invariants();
}

TEST_CASE("bytes that the peer has not acked are there again, and charged") {
  Death death;
  std::uint64_t id = death.open(10);
  death.pair.run_for(milliseconds(100));
  death.pair.server.appetite = 0;
  death.pair.server.app(id).appetite = 0;
  death.pair.client.write(id, std::string(20000, 'x'));
  death.pair.run_for(milliseconds(100));
  death.die();
  auto link = death.recover();
  REQUIRE(death.recovered.lost.empty());
  auto before = death.pair.client.link->find_stream(death.pair.now(), StreamId{id}, nullptr);
  auto after = link->find_stream(death.pair.now(), StreamId{id}, nullptr);
  CHECK(before->unacked_bytes == 20000);
  CHECK(after->unacked_bytes == 20000);
  CHECK(death.pool.arena.in_use() == 5);
  CHECK(death.pool.send.used() == death.pair.client.pool.send.used());
  link->check_invariants();
}

TEST_CASE("what was received and not delivered is forgotten, and an end with it") {
  Death death;
  std::uint64_t id = death.open(10);
  death.pair.run_for(milliseconds(100));
  death.pair.client.app(id).appetite = 3;
  death.pair.server.write(id, "hello");
  death.pair.server.finish(id);
  death.pair.run_for(milliseconds(100));
  death.die();
  auto link = death.recover();
  auto after = link->find_stream(death.pair.now(), StreamId{id}, nullptr);
  CHECK(after->received_bytes == 3);
  CHECK(after->queued_bytes == 0);
  CHECK(after->peer_end == EndMark::none);
  CHECK(death.recovered.streams[0].socket == RecoveredStream::Socket::goes_on);
}

TEST_CASE("a stream that contradicts itself is lost alone") {
  Death death;
  std::uint64_t first = death.open(10);
  death.open(11);
  death.pair.run_for(milliseconds(100));
  death.pair.server.app(first).appetite = 0;
  death.pair.client.write(first, std::string(20000, 'x'));
  death.pair.run_for(milliseconds(100));
  death.die();
  StreamRecord& record = death.record(first);
  SECTION("its version") {
    record.version += 1;
  }
  SECTION("its service") {
    record.service = 99;
  }
  SECTION("its socket is gone") {
    death.sockets.others[10] = std::nullopt;
  }
  SECTION("its socket has given more than it knows") {
    death.sockets.others[10] = SocketPosition{20001, 0};
  }
  SECTION("its socket has taken more than it knows") {
    death.sockets.others[10] = SocketPosition{20000, 1};
  }
  SECTION("its blocks are another's") {
    for (BlockInfo& each : death.infos()) each.stream = each.stream == first ? 77 : each.stream;
  }
  SECTION("its chain is cut") {
    death.lead_on(first, kNoBlock);
  }
  SECTION("its chain leads nowhere") {
    death.lead_on(first, 1U << 30);
  }
  auto link = death.recover();
  REQUIRE(death.recovered.lost.size() == 1);
  CHECK(death.recovered.lost[0].descriptor == 10);
  REQUIRE(death.recovered.streams.size() == 1);
  CHECK(death.recovered.streams[0].descriptor == 11);
  CHECK(link->stream_count() == 1);
  CHECK(death.pool.streams() == 1);
  link->check_invariants();
}

TEST_CASE("a stream that was being reset before its OPEN left is over") {
  Death death;
  std::uint64_t id = death.open(10);
  death.die();
  death.record(id).reset = ResetState::waiting;
  auto link = death.recover();
  CHECK(link->stream_count() == 0);
  CHECK(death.recovered.over == std::vector<int>{10});
  CHECK(death.recovered.lost.empty());
}

TEST_CASE("the kernel knows better what the call under way did") {
  Death death;
  std::uint64_t id = death.open(10);
  death.pair.run_for(milliseconds(100));
  Link& old = *death.pair.client.link;
  StreamHandle stream = death.pair.client.app(id).handle;
  iovec room[4];
  REQUIRE(old.prepare(stream, 100, room) != 0);
  std::memcpy(room[0].iov_base, "hello", 5);
  Intent& intent = death.pair.client.pool.region.intent();
  intent.begin(Intent::Operation::read, old.index(), stream.slot);
  death.die();
  old.commit(death.pair.now(), stream, 0);
  intent.end();
  death.sockets.others[10] = SocketPosition{5, 0};
  auto link = death.recover();
  REQUIRE(death.recovered.lost.empty());
  CHECK(death.recovered.corrected == 1);
  CHECK(link->find_stream(death.pair.now(), StreamId{id}, nullptr)->sent_bytes == 5);
}

TEST_CASE("what is no state, of another format or cut short is refused") {
  Death death;
  death.open(10);
  death.pair.run_for(milliseconds(100));
  death.die();
  auto& header = const_cast<RegionHeader&>(Death::header(death.relics));
  SECTION("magic") {
    header.magic += 1;
  }
  SECTION("format") {
    header.major += 1;
  }
  SECTION("size of a record") {
    header.shape.record_size += 8;
  }
  SECTION("a section beyond the end") {
    header.shape.blocks_at = death.relics.size();
  }
  SECTION("a section that wraps") {
    header.shape.chunks_at = UINT64_MAX - 63;
  }
  SECTION("cut") {
    death.relics.resize(100);
  }
  CHECK_FALSE(OldState::read(death.relics).ok());
}

TEST_CASE("a link whose facts are broken leaves its sockets to be reset") {
  Death death;
  death.open(10);
  death.pair.run_for(milliseconds(100));
  death.die();
  const auto& shape = Death::header(death.relics).shape;
  auto* links = reinterpret_cast<LinkRecord*>(death.relics.data() + shape.links_at);
  for (const LinkRecord::Copy& copy : links[0].facts) links[0].bytes[copy.at] ^= 1;
  OldState state = death.state();
  CHECK(state.links().empty());
  CHECK(state.leftovers() == std::vector<int>{10});
}

TEST_CASE("a link that was saying goodbye is not gone on with") {
  Death death;
  death.open(10);
  death.pair.run_for(milliseconds(100));
  death.pair.client.link->goodbye(death.pair.now(), Cause::shutdown);
  death.die();
  CHECK(death.state().links().empty());
}

}  // namespace holdfast
