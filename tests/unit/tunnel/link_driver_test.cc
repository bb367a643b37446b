// A client's LinkDriver on a real loop with real sockets. Its server is a link in the same test,
// with a pump and a socket of its own.
#include "common/tunnel/link_driver.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <optional>

#include "common/core/link_registry.h"
#include "tests/unit/quiet_observer.h"
#include "tests/unit/support.h"

namespace holdfast {
namespace {

LinkOptions link_options(LinkOptions::Role role, Duration dead_after = seconds(15)) {
  LinkOptions options;
  options.dead_after = dead_after;
  options.heartbeat = dead_after / 15;
  options.role = role;
  options.name = role == LinkOptions::Role::client ? "edge" : "hub";
  options.services = {{"raw", seconds(60)}};
  return options;
}

class Told final : public QuietObserver {
 public:
  void link_up(const LinkEvent&) override { said += "up "; }
  void link_down(const LinkEvent& event) override {
    said += "down:" + std::string(to_string(event.cause)) + " ";
  }
  void link_resumed(const LinkEvent&) override { said += "resumed "; }
  void link_ended(const LinkEvent&) override { said += "ended "; }
  void dial_failed(const std::string&, const std::string&) override { said += "dial_failed "; }
  void connection_open(const ConnectionInfo&) override { said += "open "; }
  void connection_closed(const ConnectionInfo& info) override {
    said += "closed:" + std::string(to_string(info.summary.cause)) + " ";
  }
  std::string said;
};

// The server's end: whole applications are strings, and its socket is looked at in each turn.
class Far final : private Pump::Port {
 public:
  Far(Loop& loop, Duration dead_after)
      : link(link_options(LinkOptions::Role::server, dead_after), pool, LinkId{{1}}, 7),
        loop_(loop),
        pump_(link, *this) {}

  MemoryPool pool{64 * kMiB, 100};
  Link link;
  std::map<std::uint64_t, std::string> arrived;  // by stream
  std::map<std::uint64_t, StreamHandle> streams;
  std::string ends;       // F for FIN, A for ABORT
  bool hears = true;      // false: it does not read its socket
  std::string heard_end;  // how the carrier ended
  bool greeted() const { return greeted_; }

  void connect_to(Descriptor socket) {
    socket_ = std::move(socket);
    carrier_ = CarrierId{carrier_.value + 1};
    hello_.emplace(100);
    heard_end.clear();
    greeted_ = false;
  }
  // The carrier is reset.
  void cut() {
    close_with_reset(socket_);
    link.carrier_down(loop_.now(), carrier_, Cause::carrier_reset);
  }
  void say(std::uint64_t id, std::string_view text) {
    while (!text.empty()) {
      iovec room[16];
      std::size_t count = link.prepare(streams.at(id), text.size(), room);
      REQUIRE(count != 0);
      std::size_t size = 0;
      for (std::size_t i = 0; i < count; ++i) {
        std::memcpy(room[i].iov_base, text.data() + size, room[i].iov_len);
        size += room[i].iov_len;
      }
      link.commit(loop_.now(), streams.at(id), size);
      text.remove_prefix(size);
    }
  }
  void finish(std::uint64_t id) { link.finish(loop_.now(), streams.at(id)); }
  void turn() {
    if (hears && socket_.valid()) hear();
    if (greeted_) pump_.turn(loop_.now());
  }

 private:
  void hear() {
    std::uint8_t buffer[65536];
    ssize_t size = recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
      heard_end = size == 0 ? "end" : "reset";
      link.carrier_down(loop_.now(), carrier_, Cause::carrier_eof);
      return socket_.reset();
    }
    Bytes bytes(buffer, static_cast<std::size_t>(size));
    if (greeted_) {
      REQUIRE(pump_.prepare_read(loop_.now()));
      return pump_.carrier_bytes(loop_.now(), carrier_, bytes);
    }
    if (hello_->feed(bytes) != HelloReader::State::complete) return;
    HelloRequest& request = hello_->request();
    link.accept(loop_.now(), carrier_, request.hello, request.highest, request.table,
                carrier_.value == 1);
    greeted_ = true;
  }

  // Pump::Port
  void wants_turn() override {}
  void perform(const Effect& effect) override {
    if (const auto* data = std::get_if<effect::Deliver>(&effect)) {
      arrived[data->stream.id.value].append(reinterpret_cast<const char*>(data->bytes.data()),
                                            data->bytes.size());
      link.delivered(loop_.now(), data->stream, data->bytes.size());
    } else if (const auto* fin = std::get_if<effect::DeliverFin>(&effect)) {
      ends += 'F';
      link.fin_delivered(loop_.now(), fin->stream);
    } else if (const auto* abort = std::get_if<effect::DeliverAbort>(&effect)) {
      ends += 'A';
      link.abort_delivered(loop_.now(), abort->stream);
    }
  }
  void connect(StreamHandle stream) override {
    streams[stream.id.value] = stream;
    link.opened(loop_.now(), stream);
    iovec views[64];
    while (std::size_t count = link.queued(stream, views)) {  // what came before
      std::size_t size = 0;
      for (std::size_t i = 0; i < count; ++i) {
        arrived[stream.id.value].append(static_cast<const char*>(views[i].iov_base),
                                        views[i].iov_len);
        size += views[i].iov_len;
      }
      link.delivered(loop_.now(), stream, size);
    }
  }
  bool read_once(CarrierId) override { return false; }
  bool writable(CarrierId) const override { return socket_.valid(); }
  std::size_t write(CarrierId, std::span<const iovec> buffers) override {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(buffers.data());
    message.msg_iovlen = std::min<std::size_t>(buffers.size(), 100);
    ssize_t size = sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    return size > 0 ? static_cast<std::size_t>(size) : 0;
  }
  void finish(CarrierId) override { shutdown(socket_.get(), SHUT_WR); }

  Loop& loop_;
  Pump pump_;
  Descriptor socket_;
  CarrierId carrier_;
  std::optional<HelloReader> hello_;
  bool greeted_ = false;
};

class Pair final : private LinkDriver::Owner, private Carrier::Owner {
 public:
  explicit Pair(Duration dead_after = seconds(15))
      : link(link_options(LinkOptions::Role::client, dead_after), pool, LinkId{{1}}, 0),
        far(loop, dead_after) {}

  Loop loop;
  MemoryPool pool{64 * kMiB, 100};
  Link link;
  Told told;
  ClosingCarriers closing{[] {}};
  LinkDriver driver{loop, link, *this, told, closing, ""};
  Far far;
  int pumps = 0;
  Patience allowed;  // with sockets of its service

  // A carrier stands between the two.
  void connect() {
    BoundSocket listener = free_listener();
    Descriptor ours = dial(bound_address(listener.descriptor()));
    REQUIRE(fcntl(ours.get(), F_SETFL, O_NONBLOCK) == 0);
    far.connect_to(Descriptor(accept4(listener.descriptor(), nullptr, nullptr, SOCK_CLOEXEC)));
    coming_ = std::make_unique<Carrier>(loop, CarrierId{++carriers_}, std::move(ours),
                                        make_plain_transport, static_cast<Carrier::Owner&>(*this));
    coming_->start();
    REQUIRE(coming_->state() == Carrier::State::standing);
    driver.adopt(std::move(coming_));
  }
  void until(const std::function<bool()>& done) {
    Timer tick(loop.timers(), [] {});  // the far end's socket is in no poller
    turn_until(loop, [&] {
      far.turn();
      if (std::exchange(wanted_, false)) {
        pumps += 1;
        if (driver.pump()) wanted_ = true;
      }
      closing.sweep();
      tick.arm(loop.refresh() + milliseconds(1));
      return done();
    });
  }
  void until_said(std::string_view what) {
    until([&] { return told.said.find(what) != std::string::npos; });
  }
  // An application comes; what it holds is given back.
  Descriptor open(StreamHandle* stream = nullptr) {
    auto opened = link.open(loop.now(), OpenRequest{});
    REQUIRE(opened.ok());
    auto [agent, application] = application_pair();
    driver.attach(*opened, {std::move(agent)});
    if (stream != nullptr) *stream = *opened;
    return std::move(application);
  }

 private:
  void wants_pump(LinkDriver&) override { wanted_ = true; }
  TargetStart connect_target(LinkDriver&, StreamHandle) override { return {}; }
  void link_refused(Cause, Duration) override {}
  void carrier_barren(const SocketAddress&) override {}
  void services_down(const std::vector<std::uint16_t>&) override {}
  void room_for_streams() override {}
  Patience patience(std::string_view) const override { return allowed; }
  void carrier_standing(Carrier&) override {}
  bool carrier_readable(Carrier&) override { return false; }
  void carrier_bytes(Carrier&, Bytes) override {}
  void carrier_writable(Carrier&) override {}
  void carrier_lost(Carrier&, Cause, const std::string&) override {}

  bool wanted_ = false;
  std::uint64_t carriers_ = 0;
  std::unique_ptr<Carrier> coming_;
};

void write_all(int descriptor, std::string_view text) {
  REQUIRE(send(descriptor, text.data(), text.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(text.size()));
}

// Everything until the end, and which: "|end" or "|reset".
std::string read_end(int descriptor) {
  std::string data;
  char buffer[65536];
  while (true) {
    ssize_t size = recv(descriptor, buffer, sizeof buffer, 0);
    if (size <= 0) return data + (size == 0 ? "|end" : "|reset");
    data.append(buffer, static_cast<std::size_t>(size));
  }
}

TEST_CASE("A carrier brings the link up, and a connection lives through it to its end") {
  Pair pair;
  pair.connect();
  pair.until_said("up ");
  Descriptor application = pair.open();
  write_all(application.get(), "question");
  shutdown(application.get(), SHUT_WR);
  pair.until([&] { return pair.far.ends == "F"; });
  CHECK(pair.far.arrived[1] == "question");
  pair.far.say(1, "answer");
  pair.far.finish(1);
  pair.until_said("closed:");
  CHECK(pair.told.said == "up open closed:client_fin ");
  CHECK(read_end(application.get()) == "answer|end");
}

TEST_CASE("An idle link asks for no turn") {
  Pair pair;
  pair.connect();
  pair.until_said("up ");
  bool over = false;
  Timer settled(pair.loop.timers(), [&] { over = true; });
  settled.arm(pair.loop.refresh() + milliseconds(100));
  pair.until([&] { return over; });
  int before = pair.pumps;
  over = false;
  settled.arm(pair.loop.refresh() + milliseconds(100));
  pair.until([&] { return over; });
  CHECK(pair.pumps <= before + 1);  // a PING may fall due
}

TEST_CASE("A carrier's loss is told, and the next one carries on without a byte lost or doubled") {
  Pair pair;
  pair.connect();
  pair.until_said("up ");
  Descriptor application = pair.open();
  std::string text;
  for (int i = 0; text.size() < 200'000; ++i) text += std::to_string(i) + ' ';
  write_all(application.get(), text.substr(0, 100'000));
  pair.until([&] { return pair.far.arrived[1].size() >= 50'000; });
  pair.far.cut();
  pair.until_said("down:carrier_reset");
  CHECK(pair.link.detached());
  CHECK_FALSE(pair.driver.last_error().empty());
  CHECK(pair.driver.carrier_address().empty());
  pair.connect();
  pair.until_said("resumed ");
  CHECK_FALSE(pair.driver.carrier_address().empty());
  write_all(application.get(), text.substr(100'000));
  pair.until([&] { return pair.far.arrived[1].size() >= text.size(); });
  CHECK((pair.far.arrived[1] == text));
}

TEST_CASE("A carrier that is lost or given up before the server's answer is a failed dial") {
  for (bool cut : {true, false}) {
    Pair pair;
    if (!cut) {
      LinkOptions hasty = pair.link.options();
      hasty.handshake_timeout = milliseconds(50);
      pair.link.reconfigure(hasty);
    }
    pair.far.hears = false;
    pair.connect();
    bool over = false;
    Timer timer(pair.loop.timers(), [&] { over = true; });
    timer.arm(pair.loop.refresh() + milliseconds(20));
    pair.until([&] { return over; });
    CHECK(pair.told.said.empty());
    if (cut) pair.far.cut();
    pair.until_said("dial_failed ");
    CHECK_FALSE(pair.driver.last_error().empty());
    pair.far.hears = true;
    pair.connect();
    pair.until_said("up ");
    pair.far.cut();
    pair.until_said("down:carrier_reset");
    CHECK(pair.told.said == "dial_failed up down:carrier_reset ");
  }
}

TEST_CASE("What the carrier does not take waits for room, and nothing is lost or doubled") {
  Pair pair;
  pair.connect();
  pair.until_said("up ");
  Descriptor application = pair.open();
  fcntl(application.get(), F_SETFL, O_NONBLOCK);
  pair.far.hears = false;
  std::string text;
  for (int i = 0; text.size() < 12'000'000; ++i) text += std::to_string(i) + ' ';
  std::string_view unsaid = text;
  auto offer = [&] {
    ssize_t size = send(application.get(), unsaid.data(),
                        std::min<std::size_t>(unsaid.size(), 1 * kMiB), MSG_NOSIGNAL);
    if (size > 0) unsaid.remove_prefix(static_cast<std::size_t>(size));
  };
  bool waited = false;
  Timer wait(pair.loop.timers(), [&] { waited = true; });
  wait.arm(pair.loop.refresh() + milliseconds(200));
  pair.until([&] {
    offer();
    return waited;
  });
  pair.far.hears = true;
  pair.until([&] {
    offer();
    return pair.far.arrived[1].size() >= text.size();
  });
  CHECK((pair.far.arrived[1] == text));
}

TEST_CASE("A stream that is reset here resets its application, and is told to the peer") {
  Pair pair;
  pair.connect();
  pair.until_said("up ");
  StreamHandle stream;
  Descriptor application = pair.open(&stream);
  pair.until([&] { return pair.far.streams.size() == 1; });
  pair.link.reset(pair.loop.now(), stream, Cause::admin_kill);
  pair.driver.touch();
  pair.until_said("closed:admin_kill");
  CHECK(read_end(application.get()) == "|reset");
  pair.until([&] { return pair.far.link.stream_count() == 0; });
}

TEST_CASE("A connection of which no byte passes for its time is reset at both ends") {
  Pair pair;
  pair.allowed.idle = milliseconds(1500);
  pair.connect();
  pair.until_said("up ");
  Descriptor application = pair.open();
  Time began = pair.loop.refresh();
  bool spoke = false;
  pair.until([&] {
    if (!spoke && pair.loop.now() - began > milliseconds(400)) {
      write_all(application.get(), "a sign");
      spoke = true;
    }
    return pair.told.said.find("closed:") != std::string::npos;
  });
  CHECK(pair.told.said == "up open closed:idle_timeout ");
  CHECK(pair.loop.now() - began >= milliseconds(1900));
  CHECK(read_end(application.get()) == "|reset");
  pair.until([&] { return pair.far.link.stream_count() == 0; });
}

TEST_CASE("A half-closed connection has its own time, from its first end on") {
  Pair pair;
  pair.allowed.half_close = milliseconds(400);
  pair.connect();
  pair.until_said("up ");
  Descriptor application = pair.open(), other = pair.open();
  bool passed = false;
  Timer timer(pair.loop.timers(), [&] { passed = true; });
  timer.arm(pair.loop.refresh() + milliseconds(800));
  pair.until([&] { return passed; });
  CHECK(pair.told.said == "up open open ");  // silent, but whole
  Time began = pair.loop.refresh();
  shutdown(application.get(), SHUT_WR);
  pair.until_said("closed:");
  CHECK(pair.told.said == "up open open closed:half_close_timeout ");
  CHECK(pair.loop.now() - began >= milliseconds(400));
  CHECK(pair.link.stream_count() == 1);
}

TEST_CASE("An outage is nobody's silence, and a shorter time counts for who lives already") {
  Pair pair;
  pair.connect();
  pair.until_said("up ");
  Descriptor application = pair.open();
  pair.until([&] { return pair.far.streams.size() == 1; });
  pair.far.cut();
  pair.until_said("down:");
  pair.allowed.idle = milliseconds(300);
  pair.driver.look_now();
  bool passed = false;
  Timer timer(pair.loop.timers(), [&] { passed = true; });
  timer.arm(pair.loop.refresh() + milliseconds(800));
  pair.until([&] { return passed; });
  CHECK(pair.told.said.find("closed") == std::string::npos);
  Time back = pair.loop.refresh();
  pair.connect();
  pair.until_said("resumed ");
  pair.until_said("closed:idle_timeout");
  CHECK(pair.loop.now() - back >= milliseconds(300));
}

TEST_CASE("Goodbye takes what applications wrote until then, and ends the carrier in order") {
  Pair pair;
  pair.connect();
  pair.until_said("up ");
  Descriptor application = pair.open();
  pair.until([&] { return pair.far.streams.size() == 1; });
  write_all(application.get(), "last words");
  shutdown(application.get(), SHUT_WR);
  pair.driver.read_last();
  pair.link.goodbye(pair.loop.now(), Cause::goodbye);
  pair.driver.touch();
  pair.until([&] { return !pair.far.heard_end.empty(); });
  CHECK(pair.far.heard_end == "end");
  CHECK(pair.far.arrived[1] == "last words");
  CHECK(pair.link.ended());
}

TEST_CASE("A carrier that stays silent is given up, by the driver's own timer") {
  Pair pair(milliseconds(600));
  pair.connect();
  pair.until_said("up ");
  pair.far.hears = false;
  pair.until_said("down:carrier_silent");
  CHECK(pair.link.detached());
}

}  // namespace
}  // namespace holdfast
