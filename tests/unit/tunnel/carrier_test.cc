// A carrier whose transport the test plays: what it reads when, what it writes again, how it ends.
#include "common/tunnel/carrier.h"

#include <sys/socket.h>

#include <deque>

#include "tests/unit/support.h"

namespace holdfast {
namespace {

using Status = Transport::Status;

// Reads what the test has laid out for it once its socket has something, writes as much as it may.
class Played final : public Transport {
 public:
  explicit Played(int descriptor) : descriptor_(descriptor) {}

  std::deque<std::string> inner;  // what reads give, one a read
  std::size_t takes = SIZE_MAX;   // what one write takes at most
  Status written = Status::done;  // what writes come to where they take nothing
  Wants wanted;
  bool share_done = false;  // a read gives nothing though more is there, once
  int reads = 0;
  int writes = 0;
  Status shaken = Status::done;
  bool keeps = false;

  Status handshake() override { return shaken; }
  Outcome read(MutableBytes buffer) override {
    reads += 1;
    char byte = 0;
    ssize_t size = recv(descriptor_, &byte, 1, MSG_DONTWAIT);
    if (size == 0) return {Status::end, 0};
    if (size < 0 && errno != EAGAIN) return {Status::reset, 0};
    if (inner.empty() || std::exchange(share_done, false)) return {Status::again, 0};
    std::string text = std::move(inner.front());
    inner.pop_front();
    std::copy(text.begin(), text.end(), buffer.begin());
    return {Status::done, text.size()};
  }
  Outcome write(std::span<const iovec> buffers) override {
    writes += 1;
    if (takes == 0) return {written == Status::done ? Status::again : written, 0};
    std::size_t size = std::min(takes, buffers[0].iov_len);
    REQUIRE(send(descriptor_, buffers[0].iov_base, size, MSG_NOSIGNAL) ==
            static_cast<ssize_t>(size));
    return {Status::done, size};
  }
  void keep_memory(bool keep) override { keeps = keep; }
  void shut_down() override { shutdown(descriptor_, SHUT_WR); }
  Wants wants() const override { return wanted; }
  bool buffered() const override { return !inner.empty(); }
  std::optional<std::string> identity() const override { return std::nullopt; }
  std::string error() const override { return "played"; }

 private:
  int descriptor_;
};

class Stage final : public Carrier::Owner {
 public:
  Loop loop;
  Played* transport = nullptr;
  Descriptor peer;
  std::unique_ptr<Carrier> carrier;
  std::string read;
  int busy = 0;  // times that the owner has no time for bytes
  int asked = 0;
  int room_told = 0;
  std::optional<Cause> lost;
  std::string reason;

  explicit Stage(Status shaken = Status::done) {
    BoundSocket listener = free_listener();
    peer = dial(bound_address(listener.descriptor()));
    Descriptor ours(accept4(listener.descriptor(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    carrier = std::make_unique<Carrier>(
        loop, CarrierId{1}, std::move(ours),
        [&](int descriptor) {
          auto made = std::make_unique<Played>(descriptor);
          made->shaken = shaken;
          transport = made.get();
          return made;
        },
        *this);
    carrier->start();
  }

  void carrier_standing(Carrier&) override {}
  bool carrier_readable(Carrier&) override {
    asked += 1;
    return busy == 0 || busy-- == 0;
  }
  void carrier_bytes(Carrier&, Bytes bytes) override {
    read.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  void carrier_writable(Carrier&) override { room_told += 1; }
  void carrier_lost(Carrier&, Cause cause, const std::string& why) override {
    lost = cause;
    reason = why;
  }

  std::size_t write(std::string_view text) {
    iovec part{const_cast<char*>(text.data()), text.size()};
    return carrier->write({&part, 1});
  }
  void peer_says(std::string_view text) const {
    REQUIRE(send(peer.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  }
  void until(const std::function<bool()>& done) {
    Timer again(loop.timers(), [] {});
    turn_until(loop, [&] {
      again.arm(loop.refresh() + milliseconds(1));  // the peer's socket is in no poller
      return done();
    });
  }
  void turn_for(Duration time) {
    bool over = false;
    Timer timer(loop.timers(), [&] { over = true; });
    timer.arm(loop.refresh() + time);
    until([&] { return over; });
  }
  // What the peer reads until now.
  std::string peer_hears() const {
    char buffer[4096];
    ssize_t size = recv(peer.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (size < 0) return errno == EAGAIN ? "" : "|reset";
    return size == 0 ? "|end" : std::string(buffer, static_cast<std::size_t>(size));
  }
};

// --- Reading --------------------------------------------------------------------------------

TEST_CASE("Bytes that no poller sees are read in the turns after, one read each") {
  Stage stage;
  stage.transport->inner = {"one ", "two ", "three"};
  stage.peer_says("!");
  stage.until([&] { return stage.read == "one two three"; });
  CHECK(stage.transport->reads == 3);
}

TEST_CASE("A read that had done its share goes on in the next turn though it gave nothing") {
  Stage stage;
  stage.transport->inner = {"late"};
  stage.transport->share_done = true;
  stage.peer_says("!");
  stage.until([&] { return stage.read == "late"; });
}

TEST_CASE("A carrier whose owner has no time is not read, and asked again in the next turn") {
  Stage stage;
  stage.transport->inner = {"bytes"};
  stage.busy = 3;
  stage.peer_says("!");
  stage.until([&] { return stage.asked >= 3; });
  CHECK(stage.transport->reads == 0);
  stage.until([&] { return stage.read == "bytes"; });
}

TEST_CASE(
    "Memory is kept from the second of two close reads on, until there was none for a while") {
  Stage stage;
  auto read_one = [&] {
    stage.transport->inner = {"x"};
    stage.peer_says("!");
    std::size_t before = stage.read.size();
    stage.until([&] { return stage.read.size() > before; });
  };
  read_one();
  stage.turn_for(milliseconds(200));
  read_one();
  CHECK_FALSE(stage.transport->keeps);  // two heartbeats
  stage.transport->inner = {"y", "z"};
  stage.peer_says("!");
  stage.until([&] { return stage.read.ends_with("yz"); });
  CHECK(stage.transport->keeps);
  Time last = stage.loop.refresh();
  stage.until([&] { return !stage.transport->keeps; });
  CHECK(stage.loop.refresh() - last >= milliseconds(500));
}

TEST_CASE("A carrier that leaves its loop keeps no memory") {
  Stage stage;
  stage.transport->inner = {"one", "two"};
  stage.peer_says("!");
  stage.until([&] { return stage.read == "onetwo"; });
  REQUIRE(stage.transport->keeps);
  Carrier::Unbound left = stage.carrier->unbind();
  CHECK_FALSE(stage.transport->keeps);
}

TEST_CASE("One more read tells whether there was anything, and what it leaves is read later") {
  Stage stage;
  CHECK_FALSE(stage.carrier->read_once());
  stage.transport->inner = {"one ", "two"};
  CHECK(stage.carrier->read_once());
  CHECK(stage.read == "one ");
  stage.until([&] { return stage.read == "one two"; });
  stage.peer.reset();
  stage.until([&] { return stage.lost.has_value(); });
  CHECK(stage.lost == Cause::carrier_eof);
  CHECK(stage.carrier->read_once());  // lost: nobody is to wait for its silence
}

TEST_CASE("A read that waits for room goes on when the socket has some") {
  Stage stage;
  stage.transport->share_done = true;
  stage.transport->inner = {"answer"};
  stage.transport->wanted.write = true;
  stage.carrier->start_when_ready();
  stage.until([&] { return stage.read == "answer"; });  // though the peer said nothing
}

// --- Writing --------------------------------------------------------------------------------

TEST_CASE("A write that takes a part holds others up until there is room, which is told once") {
  Stage stage;
  stage.transport->takes = 3;
  CHECK(stage.write("sentence") == 3);
  CHECK_FALSE(stage.carrier->writable());
  stage.until([&] { return stage.room_told != 0; });
  CHECK(stage.carrier->writable());
  stage.turn_for(milliseconds(20));
  CHECK(stage.room_told == 1);
  CHECK(stage.peer_hears() == "sen");
}

TEST_CASE("A write that waits for the peer's bytes goes on with them") {
  Stage stage;
  stage.transport->takes = 0;
  stage.transport->wanted.read = true;
  CHECK(stage.write("x") == 0);
  stage.transport->inner = {"key"};
  stage.peer_says("!");
  stage.until([&] { return stage.room_told != 0; });
  CHECK(stage.read == "key");
}

TEST_CASE("A write that takes nothing while nothing waits is tried again, seldomer each time") {
  for (bool partly : {false, true}) {
    Stage stage;
    stage.transport->takes = partly ? 1 : 0;
    stage.transport->wanted.read = true;  // so that only the carrier's own timer tells of room
    stage.write("text");
    stage.transport->takes = 0;
    int before = 0;
    int tries = 0;
    bool over = false;
    Timer timer(stage.loop.timers(), [&] { over = true; });
    timer.arm(stage.loop.refresh() + milliseconds(300));
    stage.until([&] {
      if (stage.room_told != before) {
        before = stage.room_told;
        tries += 1;
        stage.write("text");
      }
      return over;
    });
    CHECK(tries >= 3);   // after 2, 4, 8 ... ms
    CHECK(tries <= 12);  // and not without a pause
  }
}

TEST_CASE("A write that fails leaves it to the read to find out why") {
  Stage stage;
  stage.transport->takes = 0;
  stage.transport->written = Status::reset;
  CHECK(stage.write("x") == 0);
  CHECK_FALSE(stage.carrier->writable());
  CHECK_FALSE(stage.lost);
  stage.transport->inner = {"last words"};
  stage.until([&] { return stage.read == "last words"; });
  close_with_reset(stage.peer);
  stage.until([&] { return stage.lost.has_value(); });
  CHECK(stage.lost == Cause::carrier_reset);
  CHECK(stage.reason == "played");
}

// --- Ends -----------------------------------------------------------------------------------

TEST_CASE("A farewell leaves whole, in whatever pieces it is taken, and then the end") {
  Stage stage;
  stage.transport->takes = 3;
  std::string words = "not today";
  stage.carrier->finish_with({words.begin(), words.end()}, stage.loop.now() + seconds(4));
  CHECK(stage.carrier->finishing());
  std::string heard;
  stage.until([&] {
    heard += stage.peer_hears();
    return heard.find('|') != std::string::npos;
  });
  CHECK(heard.substr(0, heard.find('|') + 4) == "not today|end");
  CHECK_FALSE(stage.lost);
  stage.peer.reset();
  stage.until([&] { return stage.lost.has_value(); });
  CHECK(stage.carrier->closed());
}

TEST_CASE("A farewell that is not taken at once follows when there is room") {
  Stage stage;
  stage.transport->takes = 0;
  stage.carrier->finish_with({'n', 'o'}, stage.loop.now() + seconds(4));
  stage.turn_for(milliseconds(5));
  CHECK(stage.peer_hears().empty());
  stage.transport->takes = 1;
  std::string heard;
  stage.until([&] { return (heard += stage.peer_hears()).starts_with("no|end"); });
}

TEST_CASE("Who does not end in turn is closed at the deadline") {
  Stage stage;
  Time began = stage.loop.refresh();
  stage.carrier->finish(began + milliseconds(50));
  stage.until([&] { return stage.lost.has_value(); });
  CHECK(stage.lost == Cause::none);
  CHECK(stage.reason.find("deadline") != std::string::npos);
  CHECK(stage.loop.refresh() - began >= milliseconds(50));
}

TEST_CASE("A carrier that does not stand yet has no farewell: it is closed at once") {
  Stage stage(Status::again);
  CHECK(stage.carrier->state() == Carrier::State::handshaking);
  stage.carrier->finish_with({'n', 'o'}, stage.loop.now() + seconds(4));
  CHECK(stage.carrier->closed());
  CHECK_FALSE(stage.lost);
  CHECK(stage.peer_hears() == "|reset");
}

TEST_CASE("A carrier that fails in its handshake is lost with what the transport says") {
  Stage stage(Status::failed);
  CHECK(stage.carrier->closed());
  CHECK(stage.lost == Cause::tls);
  CHECK(stage.reason == "played");
}

}  // namespace
}  // namespace holdfast
