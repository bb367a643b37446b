// A bridge between a real socket and a real link whose other end lies in the same test.
#include "common/tunnel/bridge.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <chrono>
#include <cstring>
#include <memory>

#include "common/base/overloaded.h"
#include "common/core/link_registry.h"
#include "tests/unit/support.h"

namespace holdfast {
namespace {

constexpr CarrierId kCarrier{1};

LinkOptions client_options() {
  LinkOptions options;
  options.role = LinkOptions::Role::client;
  options.name = "edge";
  options.services = {{"raw", seconds(60)}};
  return options;
}

// A client's link with one stream that a bridge serves, and the server's link, which the test
// plays by hand. Frames pass between them in memory.
class Conversation final : public Bridge::Owner {
 public:
  Loop loop;
  MemoryPool client_pool{64 * kMiB, 100};
  MemoryPool server_pool{64 * kMiB, 100};
  Link client{client_options(), client_pool, LinkId{{1}}, 0};
  Link server{server_options(), server_pool, LinkId{{1}}, 7};
  StreamHandle stream;        // at the client
  StreamHandle far;           // at the server
  std::string arrived;        // what the far application would have read
  std::string ends;           // and how it ended: F for FIN, A for ABORT
  Cause cause = Cause::none;  // of the client's stream, once it has ended
  Descriptor application;
  std::unique_ptr<Bridge> bridge;

  Conversation() {
    client.carrier_up(loop.now(), kCarrier, {});
    HelloReader reader(100);
    auto hello = client.poll_transmit(loop.now(), 1 * kMiB);
    REQUIRE(hello);
    for (const iovec& part : hello->buffers) {
      reader.feed({static_cast<const std::uint8_t*>(part.iov_base), part.iov_len});
    }
    client.written(loop.now(), hello->bytes);
    REQUIRE(reader.state() == HelloReader::State::complete);
    HelloRequest& request = reader.request();
    server.accept(loop.now(), kCarrier, request.hello, request.highest, request.table, true);
    exchange();
    auto opened = client.open(loop.now(), OpenRequest{});
    REQUIRE(opened.ok());
    stream = *opened;
    auto [agent, app] = application_pair();
    application = std::move(app);
    bridge =
        std::make_unique<Bridge>(loop, client, *this, stream, ApplicationSocket{std::move(agent)});
    bridge->start();
    exchange();
  }

  void link_touched() override {}
  std::size_t read_budget() override { return 256 * kKiB; }
  void stream_read() override {}

  // Turns the loop and carries frames until `done`.
  void until(const std::function<bool()>& done) {
    turn_until(loop, [&] {
      exchange();
      return done();
    });
  }
  // The far application writes as much as there is room for.
  std::size_t offer(std::string_view text) {
    iovec buffers[64];
    std::size_t count = text.empty() ? 0 : server.prepare(far, text.size(), buffers);
    std::size_t size = 0;
    for (std::size_t i = 0; i < count; ++i) {
      std::memcpy(buffers[i].iov_base, text.data() + size, buffers[i].iov_len);
      size += buffers[i].iov_len;
    }
    if (count != 0) server.commit(loop.now(), far, size);
    exchange();
    return size;
  }
  void say(std::string_view text) {
    while (!text.empty()) {
      std::size_t size = offer(text);
      REQUIRE(size != 0);
      text.remove_prefix(size);
    }
  }
  // The far application writes this, which fits, and closes.
  void say_last(std::string_view text) {
    iovec buffer{};
    REQUIRE(server.prepare(far, text.size(), {&buffer, 1}) == 1);
    REQUIRE(buffer.iov_len == text.size());
    std::memcpy(buffer.iov_base, text.data(), text.size());
    server.commit(loop.now(), far, text.size());
    server.finish(loop.now(), far);
    exchange();
  }
  int client_gathers = 0;
  bool far_takes = true;  // false: the far application does not read

 private:
  static LinkOptions server_options() {
    LinkOptions options = client_options();
    options.role = LinkOptions::Role::server;
    options.name = "hub";
    return options;
  }

  void exchange() {
    for (int round = 0; round < 50; ++round) {
      bool any = carry(client, server);
      drain(client);
      drain(server);
      any = carry(server, client) || any;
      drain(client);
      drain(server);
      for (Link* link : {&client, &server}) {
        if (loop.refresh() >= link->next_timeout()) link->timeout(loop.now());
      }
      if (!any) return;
    }
  }

  bool carry(Link& from, Link& to) {
    auto transmit = from.poll_transmit(loop.now(), 256 * kKiB);
    if (!transmit) return false;
    if (&from == &client) client_gathers += 1;
    std::vector<std::uint8_t> bytes;
    for (const iovec& part : transmit->buffers) {
      const auto* data = static_cast<const std::uint8_t*>(part.iov_base);
      bytes.insert(bytes.end(), data, data + part.iov_len);
    }
    from.written(loop.now(), transmit->bytes);
    to.carrier_bytes(loop.now(), kCarrier, bytes);
    drain(to);
    return true;
  }

  void drain(Link& link) {
    while (auto effect = link.poll_effect(loop.now())) {
      if (&link == &client) {
        at_client(*effect);
      } else {
        at_server(*effect);
      }
    }
  }

  void at_client(const Effect& effect) {
    std::visit(overloaded{
                   [&](const effect::Deliver& e) { bridge->deliver(e.bytes, e.last); },
                   [&](const effect::DeliverFin&) { bridge->deliver_fin(); },
                   [&](const effect::DeliverAbort&) { bridge->deliver_abort(); },
                   [&](const effect::ResetSocket&) { bridge->reset(); },
                   [&](const effect::ResumeReading&) { bridge->resume_reading(); },
                   [&](const effect::Ended& e) { cause = e.summary.cause; },
                   [](const auto&) {},
               },
               effect);
  }

  void at_server(const Effect& effect) {
    std::visit(overloaded{
                   [&](const effect::ConnectTarget& e) {
                     far = e.stream;
                     server.opened(loop.now(), far);
                   },
                   [&](const effect::Deliver& e) {
                     if (!far_takes) return;
                     arrived.append(reinterpret_cast<const char*>(e.bytes.data()), e.bytes.size());
                     server.delivered(loop.now(), far, e.bytes.size());
                   },
                   [&](const effect::DeliverFin&) {
                     ends += 'F';
                     server.fin_delivered(loop.now(), far);
                   },
                   [&](const effect::DeliverAbort&) {
                     ends += 'A';
                     server.abort_delivered(loop.now(), far);
                   },
                   [](const auto&) {},
               },
               effect);
  }

 public:
  // The far application reads again.
  void take_queued() {
    far_takes = true;
    iovec buffers[64];
    while (std::size_t count = server.queued(far, buffers)) {
      std::size_t size = 0;
      for (std::size_t i = 0; i < count; ++i) {
        arrived.append(static_cast<const char*>(buffers[i].iov_base), buffers[i].iov_len);
        size += buffers[i].iov_len;
      }
      server.delivered(loop.now(), far, size);
    }
  }
};

// Segments that the socket's kernel has received: linux/tcp.h has them in its tcp_info, after what
// the C library's knows, and does not go together with netinet/tcp.h.
std::uint32_t segments_in(int descriptor) {
  constexpr std::size_t kSegmentsIn = 140;
  std::uint8_t info[256] = {};
  socklen_t size = sizeof info;
  REQUIRE(getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, info, &size) == 0);
  REQUIRE(size >= kSegmentsIn + sizeof(std::uint32_t));
  std::uint32_t segments = 0;
  std::memcpy(&segments, info + kSegmentsIn, sizeof segments);
  return segments;
}

std::string read_end(int descriptor) {
  std::string data;
  char buffer[65536];
  while (true) {
    ssize_t size = recv(descriptor, buffer, sizeof buffer, 0);
    if (size > 0) {
      data.append(buffer, static_cast<std::size_t>(size));
      continue;
    }
    return data + (size == 0 ? "|end" : errno == ECONNRESET ? "|reset" : "|other");
  }
}

void write_all(int descriptor, std::string_view text) {
  REQUIRE(send(descriptor, text.data(), text.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(text.size()));
}

TEST_CASE("Bytes pass both ways and both ends close in order") {
  Conversation talk;
  write_all(talk.application.get(), "question");
  shutdown(talk.application.get(), SHUT_WR);
  talk.until([&] { return talk.ends == "F"; });
  CHECK(talk.arrived == "question");
  talk.say("answer");
  talk.server.finish(talk.loop.now(), talk.far);
  talk.until([&] { return talk.cause != Cause::none; });
  CHECK(talk.bridge->closed());
  CHECK(talk.cause == Cause::client_fin);
  CHECK(read_end(talk.application.get()) == "answer|end");
}

TEST_CASE("An end that is here already goes out with the bytes before it") {
  Conversation talk;
  int before = talk.client_gathers;
  write_all(talk.application.get(), "question");
  shutdown(talk.application.get(), SHUT_WR);
  talk.until([&] { return talk.ends == "F"; });
  CHECK(talk.arrived == "question");
  CHECK(talk.client_gathers == before + 1);
}

TEST_CASE("Last bytes and their end are one segment to the application", "[host]") {
  Conversation talk;
  std::uint32_t before = segments_in(talk.application.get());
  talk.say_last("answer");
  CHECK(read_end(talk.application.get()) == "answer|end");
  CHECK(segments_in(talk.application.get()) == before + 1);
  // And when the application closed first.
  Conversation other;
  shutdown(other.application.get(), SHUT_WR);
  other.until([&] { return other.ends == "F"; });
  before = segments_in(other.application.get());
  other.say_last("answer");
  CHECK(other.bridge->closed());
  CHECK(read_end(other.application.get()) == "answer|end");
  CHECK(segments_in(other.application.get()) == before + 1);
}

TEST_CASE("An application's reset is an abort after all its bytes") {
  Conversation talk;
  write_all(talk.application.get(), "last words");
  close_with_reset(talk.application);
  talk.until([&] { return !talk.ends.empty(); });
  CHECK(talk.arrived == "last words");
  CHECK(talk.ends == "A");
  talk.until([&] { return talk.cause != Cause::none; });
  CHECK(talk.cause == Cause::client_rst);
}

TEST_CASE("A reset after a half-close is a FIN and then an abort, never two ends") {
  Conversation talk;
  write_all(talk.application.get(), "x");
  shutdown(talk.application.get(), SHUT_WR);
  talk.until([&] { return talk.ends == "F"; });
  close_with_reset(talk.application);
  talk.until([&] { return talk.ends == "FA"; });
  CHECK(talk.arrived == "x");
}

TEST_CASE("FIN and reset that come together are told in order") {
  Conversation talk;
  write_all(talk.application.get(), "x");
  shutdown(talk.application.get(), SHUT_WR);
  close_with_reset(talk.application);  // before the bridge has read anything
  talk.until([&] { return !talk.ends.empty() && talk.ends.back() == 'A'; });
  CHECK(talk.arrived == "x");
  CHECK(talk.ends == "FA");
}

TEST_CASE("A reset while reading is paused is noticed, and nothing before it is lost") {
  Conversation talk;
  talk.far_takes = false;
  fcntl(talk.application.get(), F_SETFL, O_NONBLOCK);
  std::string sent;
  std::string chunk(65536, 'a');
  bool stuck = false;
  Timer quiet(talk.loop.timers(), [&] { stuck = true; });
  Timer tick(talk.loop.timers(), [] {});
  talk.until([&] {
    tick.arm(talk.loop.refresh() + milliseconds(1));
    ssize_t size = send(talk.application.get(), chunk.data(), chunk.size(), MSG_NOSIGNAL);
    if (size > 0) {
      sent.append(chunk, 0, static_cast<std::size_t>(size));
      quiet.arm(talk.loop.refresh() + milliseconds(100));
    }
    return stuck;
  });
  REQUIRE(sent.size() > 200'000);
  // All of it must be in the agent's kernel: a reset throws away what is not.
  REQUIRE(unsent_bytes(talk.application.get()) > 0);
  auto summary = talk.client.find_stream(talk.loop.now(), talk.stream.id, nullptr);
  REQUIRE(summary);
  CHECK(summary->pause != Pause::none);
  close_with_reset(talk.application);
  bool waited = false;
  Timer wait(talk.loop.timers(), [&] { waited = true; });
  wait.arm(talk.loop.refresh() + milliseconds(50));
  talk.until([&] { return waited; });
  talk.take_queued();
  talk.until([&] { return talk.ends == "A"; });
  CHECK(talk.arrived.size() >= summary->sent_bytes);
  CHECK(sent.compare(0, talk.arrived.size(), talk.arrived) == 0);
}

TEST_CASE("The peer's abort resets the application only after it was sent all bytes") {
  Conversation talk;
  std::string tail(40'000, 't');
  talk.say(tail);
  talk.server.abort(talk.loop.now(), talk.far);
  talk.until([&] { return talk.bridge->closed(); });
  CHECK(read_end(talk.application.get()) == tail + "|reset");
}

TEST_CASE("An abort waits for no application that has reset its socket") {
  constexpr int kSize = 120'000;
  Conversation talk;
  int room = 8192;
  REQUIRE(setsockopt(talk.application.get(), SOL_SOCKET, SO_RCVBUF, &room, sizeof room) == 0);
  talk.say(std::string(kSize, 't'));
  int arrived = 0;
  turn_until(talk.loop, [&] {
    auto summary = talk.client.find_stream(talk.loop.now(), talk.stream.id, nullptr);
    return summary && summary->received_bytes == kSize;
  });
  REQUIRE(ioctl(talk.application.get(), FIONREAD, &arrived) == 0);
  REQUIRE(arrived < kSize);  // it reads nothing: the kernel holds the rest
  talk.server.abort(talk.loop.now(), talk.far);
  close_with_reset(talk.application);
  auto began = std::chrono::steady_clock::now();
  talk.until([&] { return talk.bridge->closed(); });
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(3));
}

TEST_CASE("Bytes that the application does not take yet are kept and follow") {
  Conversation talk;
  std::string text;
  for (int i = 0; text.size() < 3'000'000; ++i) text += std::to_string(i) + ' ';
  std::string_view unsaid = text;
  std::string read;
  fcntl(talk.application.get(), F_SETFL, O_NONBLOCK);
  char buffer[20'000];  // less in a turn than is written
  Timer tick(talk.loop.timers(), [] {});
  talk.until([&] {
    unsaid.remove_prefix(talk.offer(unsaid));
    ssize_t size = recv(talk.application.get(), buffer, sizeof buffer, 0);
    if (size > 0) read.append(buffer, static_cast<std::size_t>(size));
    tick.arm(talk.loop.refresh() + microseconds(100));
    return read.size() >= text.size();
  });
  CHECK((read == text));  // not printed: 3 MB
}

}  // namespace
// What another process would find of the stream.
StreamRecord left_by(const Conversation& c) {
  auto state = OldState::read(c.client_pool.region.bytes());
  REQUIRE(state.ok());
  REQUIRE(state->links().size() == 1);
  REQUIRE(state->links()[0].streams.size() == 1);
  return *state->links()[0].streams[0].record;
}

TEST_CASE("a stream's record names its socket until that is to be closed, and what is under way") {
  Conversation c;
  CHECK(left_by(c).descriptor() >= 0);
  REQUIRE(send(c.application.get(), "x", 1, 0) == 1);
  c.until([&] { return c.arrived == "x"; });
  CHECK(c.client.intent().operation == Intent::Operation::none);
  CHECK(c.client.intent().slot == c.stream.slot);  // its last read
  c.bridge->reset();
  CHECK(left_by(c).descriptor() == -1);
  CHECK(c.client.intent().operation == Intent::Operation::none);
}

TEST_CASE("an error that its kernel tells once is in the record") {
  Conversation c;
  CHECK_FALSE(left_by(c).latched);
  close_with_reset(c.application);
  c.until([&] { return c.bridge->closed(); });
  auto state = OldState::read(c.client_pool.region.bytes());
  bool over = state->links()[0].streams.empty();
  CHECK((over || left_by(c).latched));
}

// The bridge's process died: what another one makes of the socket, which is `fate`.
void go_on(Conversation& c, RecoveredStream::Socket fate) {
  int socket = dup(left_by(c).descriptor());
  c.bridge = nullptr;  // resets nothing: the socket is open elsewhere
  c.bridge = std::make_unique<Bridge>(c.loop, c.client, c, c.stream,
                                      ApplicationSocket{Descriptor(socket)});
  RecoveredStream stream;
  stream.stream = c.stream;
  stream.socket = fate;
  c.bridge->go_on(stream);
}

TEST_CASE("a stream whose process died goes on") {
  Conversation c;
  go_on(c, RecoveredStream::Socket::goes_on);
  REQUIRE(send(c.application.get(), "hello", 5, 0) == 5);
  c.until([&] { return c.arrived == "hello"; });
}

TEST_CASE("one that was reset meanwhile gives what is left, and is aborted") {
  Conversation c;
  REQUIRE(send(c.application.get(), "last", 4, 0) == 4);
  go_on(c, RecoveredStream::Socket::aborts);
  c.until([&] { return c.ends == "A"; });
  CHECK(c.arrived == "last");
  CHECK(c.bridge->closed());
}

TEST_CASE("one whose end came before that ends, and is aborted") {
  Conversation c;
  REQUIRE(send(c.application.get(), "last", 4, 0) == 4);
  go_on(c, RecoveredStream::Socket::aborts_after_fin);
  c.until([&] { return c.ends == "FA"; });
  CHECK(c.arrived == "last");
}

TEST_CASE("one of which both ends are over is closed in order, and any other is reset") {
  for (auto [fate, wanted] : {std::pair(RecoveredStream::Socket::closes, 0),
                              std::pair(RecoveredStream::Socket::resets, -1)}) {
    Conversation c;
    go_on(c, fate);
    CHECK(c.bridge->closed());
    char byte = 0;
    CHECK(recv(c.application.get(), &byte, 1, 0) == wanted);
  }
}

}  // namespace holdfast
