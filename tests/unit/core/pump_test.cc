// A pump between a link whose peer is the test, and a port that writes down what it is asked for.
#include "common/core/pump.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "tests/unit/core/scripted_peer.h"

namespace holdfast {

using namespace test;

namespace {

using Role = LinkOptions::Role;

class World final : public Pump::Port {
 public:
  explicit World(Role role, Pump::Budget budget = {})
      : peer(role), pump(peer.link(), *this, budget) {}

  void wants_turn() override { asked += 1; }
  void perform(const Effect& effect) override {
    effects += 1;
    if (const auto* data = std::get_if<effect::Deliver>(&effect)) {
      received.append(reinterpret_cast<const char*>(data->bytes.data()), data->bytes.size());
      peer.link().delivered(now(), data->stream, data->bytes.size());
    }
    if (performed) performed(effect);
  }
  void connect(StreamHandle stream) override {
    connected.push_back(stream.id.value);
    if (connecting) connecting(stream);
  }
  bool read_once(CarrierId carrier) override {
    reads += 1;
    if (unread.empty()) return false;
    pump.carrier_bytes(now(), carrier, std::exchange(unread, {}));
    return true;
  }
  bool writable(CarrierId) const override { return room != 0; }
  std::size_t write(CarrierId carrier, std::span<const iovec> buffers) override {
    writes += 1;
    if (writing) writing();
    std::size_t taken = 0;
    for (const iovec& buffer : buffers) {
      std::size_t size = std::min(room, buffer.iov_len);
      const auto* data = static_cast<const std::uint8_t*>(buffer.iov_base);
      written.insert(written.end(), data, data + size);
      taken += size;
      room -= size;
    }
    written_to = carrier;
    return taken;
  }
  void finish(CarrierId carrier) override { finished.push_back(carrier); }

  Link& link() { return peer.link(); }
  Time now() const { return peer.now(); }
  bool turn() { return pump.turn(now()); }
  // The application of the stream writes.
  void say(StreamHandle stream, std::size_t size) {
    while (size != 0) {
      iovec space[8];
      std::size_t count = link().prepare(stream, size, space);
      REQUIRE(count != 0);
      std::size_t got = 0;
      for (std::size_t i = 0; i < count; ++i) got += space[i].iov_len;
      for (std::size_t i = 0; i < count; ++i) std::memset(space[i].iov_base, 'x', space[i].iov_len);
      link().commit(now(), stream, got);
      size -= got;
    }
    pump.touch();
  }
  StreamHandle open() {
    std::uint64_t id = peer.open();
    StreamHandle handle;
    REQUIRE(link().find_stream(now(), StreamId{id}, &handle));
    if (!peer.client()) link().opened(now(), handle);
    return handle;
  }
  std::vector<StreamHandle> open_some(int count) {
    std::vector<StreamHandle> streams;
    for (int i = 0; i < count; ++i) streams.push_back(open());
    return streams;
  }
  // A ResetSocket for each, which is not polled yet.
  void reset(const std::vector<StreamHandle>& streams) {
    for (StreamHandle stream : streams) link().reset(now(), stream, Cause::admin_kill);
  }
  // Lets time pass until the carrier has been silent for too long.
  void stay_silent() {
    while (reads == 0 && link().live() && now() < Time(seconds(100))) {
      peer.end.now = link().next_timeout();
      if (now() >= link().liveness().last_heard() + link().options().dead_after) return;
      turn();
    }
  }
  // OPENs of the streams from `first` on, as the peer sends them.
  static Buffer opens(std::uint64_t first, std::uint64_t count) {
    Buffer bytes;
    for (std::uint64_t id = first; id < first + count; ++id) {
      Buffer frame = open_frame(id, 65536, "echo");
      bytes.insert(bytes.end(), frame.begin(), frame.end());
    }
    return bytes;
  }
  std::vector<SentFrame> said() { return decode_gather(std::exchange(written, {})); }

  ScriptedPeer peer;
  Pump pump;
  int asked = 0;    // for a turn
  int effects = 0;  // performed
  int reads = 0;
  int writes = 0;
  std::size_t room = SIZE_MAX;  // what the carrier still takes
  Buffer unread;                // what lies in the carrier
  Buffer written;
  CarrierId written_to;
  std::string received;
  std::vector<std::uint64_t> connected;
  std::vector<CarrierId> finished;
  std::function<void(const Effect&)> performed;
  std::function<void(StreamHandle)> connecting;
  std::function<void()> writing;
};

std::string data_in(const std::vector<SentFrame>& frames) {
  std::string bytes;
  for (const SentFrame& frame : frames) bytes += frame.bytes;
  return bytes;
}

// Whether it ends the process by a failed CHECK; it runs in a child.
bool aborts(const std::function<void()>& body) {
  pid_t child = fork();
  if (child == 0) {
    rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
    std::signal(SIGABRT, SIG_DFL);
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nowhere, STDERR_FILENO);
    dup2(nowhere, STDOUT_FILENO);
    body();
    _exit(0);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

Pump::Budget few_effects(std::size_t effects) {
  Pump::Budget budget;
  budget.effects = effects;
  return budget;
}

}  // namespace

// --- When a turn is asked for ---------------------------------------------------------------

TEST_CASE("a turn is asked for once, however often something is said") {
  World world(Role::client);
  StreamHandle stream = world.open();
  world.say(stream, 10);
  world.pump.touch();
  CHECK(world.asked == 1);
  CHECK_FALSE(world.turn());
  world.pump.touch();
  CHECK(world.asked == 2);
}

TEST_CASE("what was said before a turn leaves in it") {
  World world(Role::client);
  StreamHandle stream = world.open();
  world.say(stream, 10);
  CHECK_FALSE(world.turn());
  CHECK(data_in(world.said()) == "xxxxxxxxxx");
  CHECK(world.written_to == world.peer.carrier());
  CHECK_FALSE(world.turn());
  CHECK(world.writes == 1);
}

TEST_CASE("what an effect says to the link leaves in the same turn, and asks for no other") {
  World world(Role::client);
  StreamHandle stream = world.open();
  world.performed = [&](const Effect& effect) {
    if (!std::holds_alternative<effect::DeliverFin>(effect)) return;
    world.link().fin_delivered(world.now(), stream);
    world.link().finish(world.now(), stream);
    world.pump.touch();
  };
  Buffer fin = fin_frame(stream.id.value, 0);
  world.link().carrier_bytes(world.now(), world.peer.carrier(), fin);
  CHECK_FALSE(world.turn());
  CHECK(world.asked == 0);
  auto frames = world.said();
  CHECK(std::any_of(frames.begin(), frames.end(),
                    [](const SentFrame& frame) { return frame.type == FrameType::fin; }));
}

TEST_CASE("what is said while a turn transmits asks for another") {
  World world(Role::client);
  StreamHandle stream = world.open();
  world.writing = [&] {
    world.writing = nullptr;
    world.say(stream, 5);
  };
  world.say(stream, 10);
  CHECK(world.asked == 1);
  CHECK(world.turn());
  CHECK(world.asked == 1);  // the turn's answer says so
}

TEST_CASE("a turn does what the time asks for") {
  World world(Role::client);
  world.open();
  world.peer.pass(seconds(3));
  CHECK_FALSE(world.turn());
  auto frames = world.said();
  REQUIRE(frames.size() == 1);
  CHECK(frames[0].type == FrameType::ping);
}

// --- Effects --------------------------------------------------------------------------------

TEST_CASE("effects beyond a turn's budget wait for the next, and nothing is sent before them") {
  World world(Role::client, few_effects(3));
  world.reset(world.open_some(4));
  CHECK(world.turn());
  CHECK(world.effects == 3);
  CHECK_FALSE(world.pump.settled());
  CHECK(world.writes == 0);
  world.turn();
  CHECK(world.writes != 0);
  while (world.turn()) {
  }
  CHECK(world.pump.settled());
  CHECK(world.effects == 8);  // Ended, too
}

TEST_CASE("all effects of a carrier's bytes are done at once, whatever the budget") {
  World world(Role::client, few_effects(2));
  StreamHandle stream = world.open();
  Buffer bytes;
  for (std::uint64_t i = 0; i < 20; ++i) {
    Buffer frame = data_frame({stream.id, i * 3, 0, 65536, 0}, "abc");
    bytes.insert(bytes.end(), frame.begin(), frame.end());
  }
  REQUIRE(world.pump.prepare_read(world.now()));
  world.pump.carrier_bytes(world.now(), world.peer.carrier(), bytes);
  CHECK(world.received.size() == 60);
  CHECK(world.pump.settled());
  CHECK(world.asked == 1);
}

TEST_CASE("a carrier is not read while effects are left, and a turn is asked for") {
  World world(Role::client, few_effects(2));
  world.reset(world.open_some(3));
  CHECK_FALSE(world.pump.prepare_read(world.now()));
  CHECK(world.asked == 1);
  while (world.turn()) {
  }
  CHECK(world.pump.prepare_read(world.now()));
}

TEST_CASE("a carrier is not read again in a turn whose reads caused enough") {
  World world(Role::client, few_effects(4));
  StreamHandle stream = world.open();
  for (std::uint64_t i = 0; i < 4; ++i) {
    REQUIRE(world.pump.prepare_read(world.now()));
    world.pump.carrier_bytes(world.now(), world.peer.carrier(),
                             data_frame({stream.id, i * 3, 0, 65536, 0}, "abc"));
  }
  CHECK_FALSE(world.pump.prepare_read(world.now()));
  world.turn();
  CHECK(world.pump.prepare_read(world.now()));
}

TEST_CASE("reads of many small frames get smaller, and larger again") {
  World world(Role::server);
  CHECK(world.pump.read_size() == Pump::kMostRead);
  auto read = [&](const Buffer& bytes) {
    REQUIRE(world.pump.prepare_read(world.now()));
    world.pump.carrier_bytes(world.now(), world.peer.carrier(), bytes);
    world.turn();
  };
  Buffer many = World::opens(1, 900);
  read(many);
  CHECK(world.pump.read_size() == many.size() * 512 / 900);
  Buffer none = ping_frame(7);
  std::size_t before = world.pump.read_size();
  read(none);
  CHECK(world.pump.read_size() == 2 * before);
  for (int i = 0; i < 10; ++i) read(none);
  CHECK(world.pump.read_size() == Pump::kMostRead);
}

// An effect's bytes are good until the next poll, and a port that drives the pump from within one
// would poll under the feet of whoever does the first.
TEST_CASE(
    "a port that drives the pump while it performs an effect is a bug that ends the process") {
  for (auto* drive :
       {+[](World& world) { static_cast<void>(world.turn()); },
        +[](World& world) { static_cast<void>(world.pump.prepare_read(world.now())); },
        +[](World& world) {
          world.pump.carrier_bytes(world.now(), world.peer.carrier(), ping_frame(1));
        }}) {
    World world(Role::client);
    StreamHandle stream = world.open();
    Buffer bytes = data_frame({stream.id, 0, 0, 65536, 0}, "abc");
    auto read = [&] {
      REQUIRE(world.pump.prepare_read(world.now()));
      world.pump.carrier_bytes(world.now(), world.peer.carrier(), bytes);
    };
    world.performed = [&](const Effect&) { drive(world); };
    CHECK(aborts(read));
    world.performed = [&](const Effect&) { world.pump.touch(); };  // as a port may
    CHECK_FALSE(aborts(read));
  }
}

TEST_CASE("bytes that come before all effects are done are a bug that ends the process") {
  World world(Role::client, few_effects(1));
  world.reset(world.open_some(2));
  auto read = [&] { world.pump.carrier_bytes(world.now(), world.peer.carrier(), ping_frame(1)); };
  CHECK_FALSE(world.pump.prepare_read(world.now()));
  CHECK(aborts(read));
  while (world.turn()) {
  }
  CHECK_FALSE(aborts(read));
}

// --- Connects -------------------------------------------------------------------------------

TEST_CASE("a turn begins so many connects, the others follow in order") {
  Pump::Budget budget;
  budget.connects = 3;
  World world(Role::server, budget);
  world.pump.carrier_bytes(world.now(), world.peer.carrier(), World::opens(1, 7));
  CHECK(world.connected.empty());
  CHECK(world.turn());
  CHECK(world.connected == std::vector<std::uint64_t>{1, 2, 3});
  CHECK(world.turn());
  CHECK_FALSE(world.turn());
  CHECK(world.connected == std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6, 7});
}

TEST_CASE("streams that were reset meanwhile are not connected, and cost nothing") {
  Pump::Budget budget;
  budget.connects = 2;
  World world(Role::server, budget);
  Buffer bytes = World::opens(1, 5);
  for (std::uint64_t id = 1; id <= 3; ++id) {
    Buffer frame = reset_frame(id, Cause::other);
    bytes.insert(bytes.end(), frame.begin(), frame.end());
  }
  world.pump.carrier_bytes(world.now(), world.peer.carrier(), bytes);
  CHECK_FALSE(world.turn());
  CHECK(world.connected == std::vector<std::uint64_t>{4, 5});
}

TEST_CASE("a connect that succeeds or fails at once is told in the same turn") {
  World world(Role::server);
  world.connecting = [&](StreamHandle stream) {
    if (stream.id.value == 1) world.link().opened(world.now(), stream);
    if (stream.id.value == 2) world.link().reset(world.now(), stream, Cause::target_refused);
    world.pump.touch();
  };
  world.pump.carrier_bytes(world.now(), world.peer.carrier(), World::opens(1, 2));
  CHECK_FALSE(world.turn());
  auto frames = world.said();
  REQUIRE(frames.size() == 2);
  CHECK(frames[0].type == FrameType::opened);
  CHECK(frames[1].type == FrameType::reset);
}

// --- Verify ---------------------------------------------------------------------------------

TEST_CASE("a carrier that was silent is read once more before it is given up") {
  World world(Role::client);
  StreamHandle stream = world.open();
  world.stay_silent();
  SECTION("there is nothing") {
    world.turn();
    CHECK(world.reads == 1);
    CHECK(world.link().detached());
  }
  SECTION("there is something: it is read, and the carrier stays") {
    world.unread = data_frame({stream.id, 0, 0, 65536, 0}, "abc");
    world.turn();
    CHECK(world.reads == 1);
    CHECK(world.received == "abc");
    CHECK(world.link().live());
  }
}

TEST_CASE("a carrier is not verified while effects are left") {
  World world(Role::client, few_effects(3));
  std::vector<StreamHandle> streams = world.open_some(4);
  world.stay_silent();
  world.reset(streams);
  CHECK(world.turn());
  CHECK(world.reads == 0);
  while (world.turn()) {
  }
  CHECK(world.reads == 1);
  CHECK(world.link().detached());
}

TEST_CASE("a carrier that is the link's no more is not verified") {
  World world(Role::client);
  world.open();
  world.stay_silent();
  world.link().timeout(world.now());
  world.link().carrier_down(world.now(), world.peer.carrier(), Cause::carrier_eof);
  world.turn();
  CHECK(world.reads == 0);
}

// --- Bytes out ------------------------------------------------------------------------------

TEST_CASE("a turn writes about as much as its budget allows") {
  Pump::Budget budget;
  budget.bytes = 20000;
  budget.gather = 8000;
  World world(Role::client, budget);
  StreamHandle stream = world.open();
  world.say(stream, 50000);
  CHECK(world.turn());
  CHECK(world.writes == 3);
  CHECK(world.written.size() >= 20000);
  CHECK(world.written.size() < 30000);
  CHECK(world.turn());
  CHECK_FALSE(world.turn());
  CHECK(data_in(world.said()).size() == 50000);
}

TEST_CASE("what a carrier did not take goes first, in whatever pieces it takes it") {
  World world(Role::client);
  StreamHandle stream = world.open();
  world.say(stream, 9000);
  world.room = 0;
  CHECK_FALSE(world.turn());
  CHECK(world.writes == 0);
  std::size_t pieces[] = {1, 4999, 3000, 1, 100000};
  for (std::size_t piece : pieces) {
    world.room = piece;
    world.turn();
    world.pump.touch();
  }
  auto frames = world.said();
  std::size_t bytes = 0;
  for (const SentFrame& frame : frames) {
    CHECK(frame.offset == bytes);
    bytes += frame.bytes.size();
  }
  CHECK(bytes == 9000);
  CHECK(world.writes == 5);
}

TEST_CASE("a carrier that takes a part is not written to again in the turn") {
  World world(Role::client);
  StreamHandle stream = world.open();
  world.say(stream, 9000);
  world.room = 100;
  world.writing = [&] { world.writing = nullptr; };
  CHECK_FALSE(world.turn());  // the port touches when there is room
  CHECK(world.writes == 1);
}

TEST_CASE("the rest of a gather is not written to another carrier") {
  World world(Role::client);
  StreamHandle stream = world.open();
  world.say(stream, 9000);
  world.room = 100;
  world.turn();
  world.written.clear();
  world.room = SIZE_MAX;
  world.peer.lose_carrier();
  world.peer.hold_after_table = true;
  world.peer.connect(1, {{stream.id, 0, 0, 65536, true}});
  world.turn();
  CHECK(world.written_to == world.peer.carrier());
  CHECK(data_in(world.said()).size() == 9000);
}

TEST_CASE("a carrier that is lost in a write ends the writing") {
  World world(Role::client);
  StreamHandle stream = world.open();
  world.say(stream, 9000);
  world.writing = [&] {
    world.link().carrier_down(world.now(), world.peer.carrier(), Cause::carrier_reset);
  };
  world.turn();
  CHECK(world.writes == 1);
  CHECK(world.link().detached());
  CHECK(world.finished.empty());
  world.turn();
  CHECK(world.writes == 1);
}

TEST_CASE("the carrier ends in order once the link's last word is written, and not before") {
  World world(Role::client);
  world.link().goodbye(world.now(), Cause::shutdown);
  world.room = 3;
  world.turn();
  CHECK(world.finished.empty());
  world.room = SIZE_MAX;
  world.turn();
  CHECK(world.finished == std::vector<CarrierId>{world.peer.carrier()});
  CHECK(world.said().back().type == FrameType::goodbye);
  CHECK(world.link().ended());
  world.turn();
  CHECK(world.finished.size() == 1);
}

}  // namespace holdfast
