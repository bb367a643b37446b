// KeyUpdate: keys change under traffic, and a peer cannot make a weapon of it.
#include <algorithm>
#include <vector>

#include "common/base/random.h"
#include "common/tls/tls.h"
#include "tests/catch.h"
#include "tests/unit/tls/raw_tls.h"

using namespace holdfast;
using holdfast::test::Authority;
using holdfast::test::Issued;
using holdfast::test::RawTls;
using holdfast::test::TightSockets;
using Status_ = Transport::Status;

namespace {

constexpr std::uint64_t kFew = 8 * 1024;
constexpr std::size_t kMuch = 2 << 20;

std::vector<std::uint8_t> noise(std::uint64_t seed, std::size_t size) {
  Random random(seed);
  std::vector<std::uint8_t> bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random.next());
  return bytes;
}

// One end's traffic: sends all of `out` in pieces of every size, keeps what comes.
struct Traffic {
  Transport& transport;
  std::vector<std::uint8_t> out;
  Random random;
  std::size_t sent = 0;
  std::vector<std::uint8_t> in;
  bool blocked = false;  // once, at least

  void write_some() {
    std::vector<iovec> pieces;
    std::size_t end = sent;
    while (end < out.size() && pieces.size() < 20) {
      std::size_t size = std::min<std::size_t>(out.size() - end, random.between(1, 5000));
      pieces.push_back({out.data() + end, size});
      end += size;
    }
    if (pieces.empty()) return;
    Transport::Outcome outcome = transport.write(pieces);
    REQUIRE((outcome.status == Status_::done || outcome.status == Status_::again));
    blocked = blocked || sent + outcome.bytes < end;
    sent += outcome.bytes;
  }
  void read_some() {
    std::vector<std::uint8_t> buffer(random.between(1, 20'000));
    Transport::Outcome outcome = transport.read(buffer);
    REQUIRE((outcome.status == Status_::done || outcome.status == Status_::again));
    in.insert(in.end(), buffer.begin(),
              buffer.begin() + static_cast<std::ptrdiff_t>(outcome.bytes));
  }
};

struct Fixture {
  Authority ca;
  TightSockets sockets;
  Issued server_own = ca.issue({"server", "DNS:server"});
  Issued client_own = ca.issue({"edge-1", "DNS:edge-1"});

  TlsFiles files(const Issued& own) const {
    return {{"ca.pem", ca.certificate()}, {"cert.pem", own.certificate}, {"key.pem", own.key}};
  }
  std::unique_ptr<Transport> client(int end, std::uint64_t key_update_after) const {
    TlsClientOptions options;
    options.files = files(client_own);
    options.server_name = "server";
    options.key_update_after = key_update_after;
    auto made = make_tls_client(options);
    REQUIRE(made.ok());
    return (*made)->make(end);
  }
  std::unique_ptr<Transport> server(int end, std::uint64_t key_update_after) const {
    TlsServerOptions options;
    options.files = files(server_own);
    options.client_of = [](const std::vector<std::string>& names) {
      return std::optional<std::string>(names.front());
    };
    options.key_update_after = key_update_after;
    auto made = make_tls_server(options);
    REQUIRE(made.ok());
    return (*made)->make(end);
  }
};

// Our transport at end 0, its handshake done with a peer that is OpenSSL alone.
struct WithRaw : Fixture {
  std::unique_ptr<Transport> ours;
  std::unique_ptr<RawTls> raw;

  void meet(RawTls::Role role, std::uint64_t key_update_after = kDefaultKeyUpdateAfter) {
    bool raw_serves = role == RawTls::Role::server;
    ours = raw_serves ? client(sockets.ends[0], key_update_after)
                      : server(sockets.ends[0], key_update_after);
    raw = std::make_unique<RawTls>(role, sockets.ends[1], raw_serves ? server_own : client_own);
    Status_ status = Status_::again;
    bool done = false;
    for (int turn = 0; turn < 20 && (!done || status == Status_::again); ++turn) {
      if (status == Status_::again) status = ours->handshake();
      done = done || raw->handshake();
    }
    REQUIRE(status == Status_::done);
    REQUIRE(done);
  }
  std::string read_until_failed(std::size_t rounds, bool with_data, bool ask) {
    std::uint8_t byte[64] = {};
    for (std::size_t round = 0; round < rounds; ++round) {
      raw->update_key(ask);
      // A key update goes with a write; an empty one has no record of its own.
      raw->write(byte, with_data ? 1 : 0);
      Transport::Outcome outcome = ours->read(byte);
      if (outcome.status == Status_::failed) return ours->error();
      REQUIRE((outcome.status == Status_::done || outcome.status == Status_::again));
    }
    return "";
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "keys change both ways under traffic both ways through a full socket") {
  std::uint64_t seed = 1;
  auto client_end = client(sockets.ends[0], kFew);
  auto server_end = server(sockets.ends[1], kFew);
  Status_ statuses[2] = {Status_::again, Status_::again};
  for (int turn = 0; turn < 20; ++turn) {
    if (statuses[0] == Status_::again) statuses[0] = client_end->handshake();
    if (statuses[1] == Status_::again) statuses[1] = server_end->handshake();
  }
  REQUIRE(statuses[0] == Status_::done);
  REQUIRE(statuses[1] == Status_::done);
  Traffic up{*client_end, noise(2, kMuch), Random(3), 0, {}, false};
  Traffic down{*server_end, noise(4, kMuch), Random(5), 0, {}, false};
  Random random(seed);
  for (int turn = 0; turn < 2'000'000; ++turn) {
    if (up.in.size() == kMuch && down.in.size() == kMuch) break;
    switch (random.between(0, 3)) {
      case 0:
        up.write_some();
        break;
      case 1:
        down.write_some();
        break;
      case 2:
        up.read_some();
        break;
      default:
        down.read_some();
    }
  }
  CHECK(up.in == down.out);
  CHECK(down.in == up.out);
  CHECK(up.blocked);
  CHECK(down.blocked);
  // What is still on its way are answers to the last ones that asked.
  for (int turn = 0; turn < 20; ++turn) {
    up.read_some();
    down.read_some();
  }
  for (const Transport* end : {client_end.get(), server_end.get()}) {
    const Transport* other = end == client_end.get() ? server_end.get() : client_end.get();
    CHECK(end->key_updates().received == other->key_updates().sent);
    // Every 8 KiB and a record of at most 16 KiB; one that answers the peer's counts, too.
    CHECK(end->key_updates().sent >= kMuch / (kFew + 16 * 1024));
    CHECK(end->key_updates().sent <= 2 * (kMuch + kMuch / 8) / kFew);
  }
}

TEST_CASE_METHOD(WithRaw, "OpenSSL by itself sees the keys change, and answers") {
  for (auto role : {RawTls::Role::server, RawTls::Role::client}) {
    WithRaw scene;
    scene.meet(role, kFew);
    Traffic traffic{*scene.ours, noise(6, kMuch), Random(7), 0, {}, false};
    std::vector<std::uint8_t> back = noise(8, kMuch);
    std::vector<std::uint8_t> got;
    std::size_t sent = 0;
    std::vector<std::uint8_t> buffer(10'000);
    for (int turn = 0; turn < 1'000'000; ++turn) {
      if (got.size() == kMuch && traffic.in.size() == kMuch) break;
      traffic.write_some();
      got.insert(got.end(), buffer.begin(),
                 buffer.begin() +
                     static_cast<std::ptrdiff_t>(scene.raw->read(buffer.data(), buffer.size())));
      sent += scene.raw->write(back.data() + sent, std::min<std::size_t>(kMuch - sent, 3000));
      traffic.read_some();
    }
    CHECK(got == traffic.out);
    CHECK(traffic.in == back);
    CHECK(scene.raw->updates_seen() >= kMuch / (kFew + 16 * 1024));
    CHECK(scene.raw->updates_seen() == scene.ours->key_updates().sent);
    CHECK(scene.raw->updates_sent() >= scene.raw->updates_seen() - 1);
  }
}

TEST_CASE_METHOD(WithRaw, "keys stay as they are below the limit") {
  meet(RawTls::Role::server);
  Traffic traffic{*ours, noise(6, kMuch), Random(7), 0, {}, false};
  std::vector<std::uint8_t> buffer(20'000);
  std::size_t got = 0;
  for (int turn = 0; turn < 100'000 && got < kMuch; ++turn) {
    traffic.write_some();
    got += raw->read(buffer.data(), buffer.size());
    traffic.read_some();
  }
  CHECK(got == kMuch);
  CHECK(raw->updates_seen() == 0);
}

TEST_CASE_METHOD(WithRaw, "a peer that changes its key between any two bytes is served") {
  meet(RawTls::Role::client);
  std::uint8_t byte[64] = {};
  std::size_t got = 0;
  for (int round = 0; round < 1000; ++round) {
    raw->update_key(true);
    REQUIRE(raw->write(byte, 1) == 1);
    got += ours->read(byte).bytes;
    raw->read(byte, sizeof byte);
  }
  CHECK(got == 1000);
  CHECK(ours->key_updates().received == 1000);
  CHECK(raw->updates_seen() >= 990);  // the last answer goes with what is written next
}

TEST_CASE_METHOD(WithRaw,
                 "a peer that changes its key for ever without a byte of data is cut off") {
  meet(RawTls::Role::client);
  bool ask = GENERATE(false, true);
  CHECK(read_until_failed(1000, false, ask) ==
        "more TLS handshake messages (KeyUpdate) than a carrier needs");
  CHECK(ours->key_updates().received <= 40);
}

TEST_CASE_METHOD(WithRaw, "a peer that asks for new keys and never reads cannot grow our memory") {
  meet(RawTls::Role::client);
  CHECK(read_until_failed(100'000, true, true) ==
        "the peer asks for answers and does not read them");
  // 27 bytes each, of at most 264 KiB and what the socket took.
  CHECK(ours->key_updates().sent < 12'000);
}

TEST_CASE_METHOD(WithRaw, "answers to our own key updates are never too many") {
  meet(RawTls::Role::server, 1024);
  auto out = noise(9, 1 << 20);
  std::vector<std::uint8_t> buffer(64 * 1024);
  std::size_t sent = 0;
  while (sent < out.size()) {
    iovec piece{out.data() + sent, std::min<std::size_t>(out.size() - sent, 1500)};
    sent += ours->write({&piece, 1}).bytes;
    raw->read(buffer.data(), buffer.size());
    // An answer leaves with a write; this one has no data.
    raw->write(buffer.data(), 0);
    if (sent % 7 != 0) continue;  // they add up
    Transport::Outcome outcome = ours->read(buffer);
    REQUIRE(outcome.status == Status_::again);
  }
  CHECK(ours->key_updates().received > 300);
}

TEST_CASE_METHOD(WithRaw, "one read works off its share of key updates and says that more waits") {
  meet(RawTls::Role::client);
  int size = 1 << 18;
  REQUIRE(setsockopt(sockets.ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
  std::uint8_t bytes[64] = {};
  for (int round = 0; round < 30; ++round) {
    raw->update_key(false);
    REQUIRE(raw->write(bytes, 1) == 1);
  }
  Transport::Outcome outcome = ours->read(bytes);
  CHECK(outcome.bytes < 20);
  CHECK(ours->key_updates().received < 20);
  REQUIRE(ours->buffered());
  CHECK(outcome.bytes + ours->read(bytes).bytes == 30);
  CHECK_FALSE(ours->buffered());
}

TEST_CASE_METHOD(WithRaw, "behind half a key update a write waits for its rest, not for room") {
  meet(RawTls::Role::client);
  std::uint8_t buffer[64] = {};
  // KeyUpdate, one byte long: first all but that byte.
  raw->forge(22, {24, 0, 0, 1});
  CHECK(ours->read(buffer).status == Status_::again);
  char text[] = "wait";
  iovec piece{text, sizeof text};
  CHECK(ours->write({&piece, 1}).status == Status_::again);
  CHECK(ours->wants().read);
  CHECK_FALSE(ours->wants().write);
  raw->forge(22, {0});
  CHECK(ours->read(buffer).status == Status_::again);
  CHECK(ours->key_updates().received == 1);
  CHECK(ours->write({&piece, 1}).bytes == sizeof text);
  CHECK_FALSE(ours->wants().read);
  CHECK(raw->read(buffer, sizeof buffer) == sizeof text);
}
