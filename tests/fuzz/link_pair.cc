// Two Links and a path between them; the bytes choose what applications, path and time do.
//
// As long as the path only loses whole carriers, every byte must arrive in order, and neither link
// may call the other a violator. Once frames were forged or bytes changed, all that is asked is
// that nothing breaks: invariants hold, and at the end no memory is left.
#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <optional>

#include "common/base/overloaded.h"
#include "common/core/link_registry.h"
#include "common/core/pump.h"
#include "tests/fuzz/input.h"

namespace holdfast::fuzz {
namespace {

constexpr std::size_t kMostStreams = 24;

std::uint8_t pattern(bool from_client, std::uint64_t id, std::uint64_t offset) {
  return static_cast<std::uint8_t>(offset * 31 + id * 7 + (from_client ? 1 : 0) + (offset >> 8));
}

// Where a side writes to. A carrier that was replaced leads nowhere.
struct Wire {
  CarrierId carrier;
  Buffer pipe;
  bool blocked = false;
  std::size_t takes = SIZE_MAX;  // of each write
};

// One side: a link's applications, which send the pattern and check it.
struct Side final : Pump::Port {
  struct Stream {
    StreamHandle handle;
    std::uint64_t written = 0;
    std::uint64_t received = 0;
    bool waits_for_connect = false;
  };

  Side(bool client, bool& forged) : is_client(client), forged_(forged) {}

  void drive(Link& driven) {
    link = &driven;
    // Gathers smaller than most, and turns that can hardly do what one input asks for.
    pump.emplace(driven, *this, Pump::Budget{64, 4, 40000, 20000});
  }
  // Turns until nothing is left to be done now.
  void settle(Time time) {
    now = time;
    while (pump->turn(now)) {
    }
    inspect();
  }
  void receive(Time time, CarrierId from, Bytes bytes) {
    now = time;
    while (!pump->prepare_read(now)) pump->turn(now);
    pump->carrier_bytes(now, from, bytes);
    inspect();
  }
  void inspect() const {
    link->check_invariants();
    if (!forged_) FUZZ_CHECK(link->detail().empty());
  }

  void wants_turn() override {}
  void perform(const Effect& effect) override {
    std::visit(overloaded{
                   [&](const effect::Deliver& e) { deliver(e); },
                   [&](const effect::DeliverFin& e) {
                     if (takes) link->fin_delivered(now, e.stream);
                   },
                   [&](const effect::DeliverAbort& e) {
                     if (takes) link->abort_delivered(now, e.stream);
                   },
                   [&](const effect::Origin& e) {
                     if (!forged_) FUZZ_CHECK(is_client && e.mark == e.stream.id.value);
                   },
                   [&](const effect::Ended& e) { streams[e.stream.id.value].handle = {}; },
                   [](const auto&) {},
               },
               effect);
  }
  void connect(StreamHandle handle) override {
    Stream& stream = streams[handle.id.value];
    FUZZ_CHECK(stream.handle == StreamHandle{});
    stream.handle = handle;
    stream.waits_for_connect = true;
  }
  bool read_once(CarrierId) override { return false; }
  bool writable(CarrierId) const override { return !wire.blocked; }
  std::size_t write(CarrierId carrier, std::span<const iovec> buffers) override {
    std::size_t left = wire.takes;
    std::size_t taken = 0;
    for (const iovec& part : buffers) {
      std::size_t size = std::min(left, part.iov_len);
      const auto* data = static_cast<const std::uint8_t*>(part.iov_base);
      if (carrier == wire.carrier) wire.pipe.insert(wire.pipe.end(), data, data + size);
      taken += size;
      left -= size;
    }
    FUZZ_CHECK(taken != 0);
    return taken;
  }
  void finish(CarrierId) override { FUZZ_CHECK(link->ended()); }

  void deliver(const effect::Deliver& e) {
    auto size = std::min<std::size_t>(e.bytes.size(), appetite);
    check(e.stream.id.value, e.bytes.first(size));
    if (size != 0) link->delivered(now, e.stream, size);
  }
  void check(std::uint64_t id, Bytes bytes) {
    Stream& stream = streams[id];
    for (std::uint8_t byte : bytes) {
      if (!forged_) FUZZ_CHECK(byte == pattern(!is_client, id, stream.received));
      stream.received += 1;
    }
  }
  void eat(Stream& stream) {
    iovec views[3];
    std::size_t count = link->queued(stream.handle, views);
    std::size_t taken = 0;
    for (std::size_t i = 0; i < count; ++i) {
      std::size_t size = std::min<std::size_t>(views[i].iov_len, appetite);
      check(stream.handle.id.value, Bytes(static_cast<std::uint8_t*>(views[i].iov_base), size));
      taken += size;
      if (size != views[i].iov_len) break;
    }
    if (taken != 0) link->delivered(now, stream.handle, taken);
  }
  void say(Stream& stream, std::size_t want, std::size_t got) {
    iovec room[4];
    std::size_t count = link->prepare(stream.handle, want, room);
    if (count == 0) return;
    std::size_t size = 0;
    std::uint64_t id = stream.handle.id.value;
    for (std::size_t i = 0; i < count; ++i) {
      auto* to = static_cast<std::uint8_t*>(room[i].iov_base);
      for (std::size_t j = 0; j < room[i].iov_len && size < got; ++j, ++size) {
        to[j] = pattern(is_client, id, stream.written + size);
      }
    }
    stream.written += size;
    link->commit(now, stream.handle, size);
  }
  // The stream that a byte means, among those that live.
  Stream* pick(std::uint8_t which) {
    std::vector<Stream*> alive;
    for (auto& [id, stream] : streams) {
      if (!(stream.handle == StreamHandle{})) alive.push_back(&stream);
    }
    return alive.empty() ? nullptr : alive[which % alive.size()];
  }

  bool is_client;
  Time now{};
  Link* link = nullptr;
  std::optional<Pump> pump;
  Wire wire;
  std::map<std::uint64_t, Stream> streams;
  std::size_t appetite = SIZE_MAX;  // of every read of a socket
  bool takes = true;

 private:
  bool& forged_;
};

class Pair {
 public:
  Pair() : registry_(registry_options(), server_pool_, 1) {
    LinkOptions options = link_options();
    options.role = LinkOptions::Role::client;
    options.mark_key = {7};
    options.name = "edge-1";
    client_link_ = std::make_unique<Link>(options, client_pool_, LinkId{{1}}, 0);
    client_.drive(*client_link_);
    policy_.name = "edge-1";
    policy_.services = options.services;
    policy_.max_streams = kMostStreams;
  }

  void act(Input& input) {
    std::uint8_t what = input.byte();
    Side& side = (what & 0x80) != 0 && server_.link != nullptr ? server_ : client_;
    Side::Stream* stream = nullptr;
    auto streamed = [&] { return (stream = side.pick(input.byte())) != nullptr; };
    switch (what & 0x1f) {
      case 0:
        open(input.byte() % 2);
        break;
      case 1:
        if (streamed()) side.say(*stream, 1 + input.byte() * 8u, input.byte() * 8u);
        break;
      case 2:
        if (streamed()) side.say(*stream, input.number(), input.number());
        break;
      case 3:
        if (streamed()) side.link->finish(now_, stream->handle);
        break;
      case 4:
        if (streamed()) side.link->abort(now_, stream->handle);
        break;
      case 5:
        if (streamed()) side.link->reset(now_, stream->handle, Cause::admin_kill);
        break;
      case 6:
        if (streamed()) side.eat(*stream);
        break;
      case 7:
        if (streamed()) connect(*stream);
        break;
      case 8:
        dial();
        break;
      case 9:
        move(client_.wire.pipe, true, input.number());
        break;
      case 10:
        move(server_.wire.pipe, false, input.number());
        break;
      case 11:
        move(client_.wire.pipe, true, SIZE_MAX);
        break;
      case 12:
        move(server_.wire.pipe, false, SIZE_MAX);
        break;
      case 13:
        side.appetite = input.byte() % 4 == 0 ? SIZE_MAX : input.byte() % 64;
        break;
      case 14:
        side.takes = !side.takes;
        break;
      case 15:
        lose(true, true);
        break;
      case 16:
        lose(true, false);
        break;
      case 17:
        lose(false, true);
        break;
      case 18:
        now_ += milliseconds(input.byte());
        break;
      case 19:
        now_ += milliseconds(input.number());
        break;
      case 20:
        side.link->doubt(now_);
        break;
      case 21:
        client_.wire.blocked = server_.wire.blocked = !client_.wire.blocked;
        break;
      case 22:
        client_.link->reconnect(now_, Cause::reconnect);
        break;
      case 23:
        if (input.byte() < 8) side.link->goodbye(now_, Cause::shutdown);
        break;
      case 24:
        if (input.byte() < 8) registry_.drain(now_);
        break;
      case 25:
        change_byte(input);
        break;
      case 26:
        forge(input);
        break;
      case 27:
        reconfigure(*side.link, input);
        break;
      case 28:
        side.wire.takes = input.byte() % 4 == 0 ? SIZE_MAX : 1 + input.number();
        break;
      default:
        flow();
        break;
    }
    settle();
  }

  // Nothing may be left once both links are gone.
  void finish() {
    client_link_.reset();
    registry_.for_each([&](Link& link, const std::string&) { link.end(now_, Cause::shutdown); });
    FUZZ_CHECK(client_pool_.arena.in_use() == 0 && client_pool_.streams() == 0);
    FUZZ_CHECK(client_pool_.send.used() == 0 && client_pool_.receive.used() == 0);
    FUZZ_CHECK(server_pool_.arena.in_use() == 0 && server_pool_.streams() == 0);
    FUZZ_CHECK(server_pool_.send.used() == 0 && server_pool_.receive.used() == 0);
  }

 private:
  static LinkOptions link_options() {
    LinkOptions options;
    options.services = {{"echo", seconds(20)}, {"brief", seconds(5)}};
    options.grace = seconds(20);
    options.open_timeout = seconds(10);
    options.max_streams = kMostStreams;
    options.dead_after = seconds(5);
    return options;
  }
  static RegistryOptions registry_options() { return {"gate", link_options()}; }

  // A reload: services come and go, graces and limits change.
  void reconfigure(Link& link, Input& input) {
    LinkOptions wanted = link.options();
    std::uint8_t bits = input.byte();
    wanted.services.clear();
    if ((bits & 1) != 0) wanted.services.push_back({"brief", seconds(bits % 16)});
    if ((bits & 2) != 0) wanted.services.push_back({"echo", seconds(20)});
    if ((bits & 4) != 0) wanted.services.push_back({"late", seconds(3)});
    wanted.max_streams = kMostStreams - bits % 8;
    wanted.memory_cap = (bits & 8) != 0 ? UINT64_MAX : bits * kKiB;
    link.reconfigure(wanted);
    if ((bits & 0x40) != 0) link.reset_unoffered(now_, Cause::revoked);
  }
  void open(std::uint16_t service) {
    auto handle = client_.link->open(now_, {service, {}, {}});
    if (handle.ok()) client_.streams[handle->id.value].handle = *handle;
  }
  void connect(Side::Stream& stream) {
    if (!std::exchange(stream.waits_for_connect, false)) return;
    server_.link->opened(now_, stream.handle);
    server_.link->tell_origin(now_, stream.handle, stream.handle.id.value);
    server_.eat(stream);
  }
  void dial() {
    if (client_.link->ended()) renew();
    if (!client_.link->wants_carrier()) return;
    drop_path();
    carriers_ += 1;
    client_.wire.carrier = CarrierId{carriers_};
    server_.wire.carrier = {};
    greeting_ = std::make_unique<HelloReader>(kMostStreams);
    client_.link->carrier_up(now_, client_.wire.carrier, Duration{});
  }
  void renew() {
    LinkId id;
    id.bytes[0] = static_cast<std::uint8_t>(++links_);
    id.bytes[1] = 1;
    // The server's links of before are out of reach of this one's streams.
    for (auto it = client_.streams.begin(); it != client_.streams.end();) {
      it = it->second.handle == StreamHandle{} ? client_.streams.erase(it) : std::next(it);
    }
    client_.link->renew(now_, id);
  }
  void move(Buffer& pipe, bool up, std::size_t most) {
    if (pipe.empty()) return;
    std::size_t size = std::min(most, pipe.size());
    Buffer bytes(pipe.begin(), pipe.begin() + static_cast<std::ptrdiff_t>(size));
    pipe.erase(pipe.begin(), pipe.begin() + static_cast<std::ptrdiff_t>(size));
    if (bytes.empty()) return;
    if (!up) {
      client_.receive(now_, client_.wire.carrier, bytes);
    } else if (greeting_ != nullptr) {
      greet(bytes);
    } else if (server_.link != nullptr) {
      server_.receive(now_, server_.wire.carrier, bytes);
    }
  }
  void greet(Bytes bytes) {
    auto state = greeting_->feed(bytes);
    if (!forged_) FUZZ_CHECK(state != HelloReader::State::failed);
    if (state == HelloReader::State::incomplete) return;
    if (state == HelloReader::State::failed) return drop_path();
    CarrierId carrier{carriers_};
    auto decision = registry_.hello(now_, carrier, policy_, std::move(greeting_->request()));
    greeting_.reset();
    if (auto* accepted = std::get_if<LinkRegistry::Accepted>(&decision)) {
      if (accepted->link != server_.link) {
        if (server_.link != nullptr) server_.settle(now_);
        server_.drive(*accepted->link);
        server_.streams.clear();
      }
      server_.wire.carrier = carrier;
    } else if (auto* unknown = std::get_if<LinkRegistry::Unknown>(&decision)) {
      server_.wire.pipe = registry_.welcome_unknown(*unknown);
    } else if (auto* refused = std::get_if<LinkRegistry::Refused>(&decision)) {
      server_.wire.pipe = registry_.welcome_refused(*refused);
    }
  }
  void drop_path() {
    client_.wire.pipe.clear();
    server_.wire.pipe.clear();
    greeting_.reset();
  }
  void lose(bool tell_client, bool tell_server) {
    drop_path();
    if (tell_client) client_.link->carrier_down(now_, client_.wire.carrier, Cause::carrier_reset);
    if (tell_server && server_.link != nullptr) {
      server_.link->carrier_down(now_, server_.wire.carrier, Cause::carrier_reset);
    }
  }
  // A few rounds in which everything works.
  void flow() {
    dial();
    for (int i = 0; i < 3; ++i) {
      settle();
      move(client_.wire.pipe, true, SIZE_MAX);
      settle();
      move(server_.wire.pipe, false, SIZE_MAX);
    }
  }
  void settle() {
    client_.settle(now_);
    if (server_.link != nullptr) server_.settle(now_);
  }
  void change_byte(Input& input) {
    Buffer& pipe = (input.byte() & 1) != 0 ? client_.wire.pipe : server_.wire.pipe;
    std::size_t at = input.number();
    std::uint8_t bits = input.byte();
    if (pipe.empty()) return;
    forged_ = true;
    pipe[at % pipe.size()] ^= bits;
  }
  // Appends a frame that the other end did not say.
  void forge(Input& input) {
    forged_ = true;
    bool up = (input.byte() & 1) != 0;
    Buffer& pipe = up ? client_.wire.pipe : server_.wire.pipe;
    std::uint8_t space[kMaxOpenFrame];
    MutableBytes to(space);
    StreamId id{input.byte() % 8u};
    std::size_t size = 0;
    switch (input.byte() % 11) {
      case 0:
        size = encode_fin(to, {id, input.offset()});
        break;
      case 1:
        size = encode_abort(to, {id, input.offset(), Cause::other});
        break;
      case 2:
        size = encode_reset(to, {id, Cause::other});
        break;
      case 3:
        size = encode_opened(to, id);
        break;
      case 4:
        size = encode_ping(to, input.offset());
        break;
      case 5:
        size = encode_pong(to, input.offset());
        break;
      case 6: {
        size = encode_ack_header(to, 1);
        size += encode_ack_entry(to.subspan(size), {id, input.offset(), input.offset()});
        break;
      }
      case 7: {
        Open open;
        open.id = StreamId{input.offset()};
        open.limit = input.offset() & (kMaxLimit - 1);
        open.service = (input.byte() & 1) != 0 ? "echo" : "none";
        size = encode_open(to, open);
        break;
      }
      case 8: {
        DataHeader header{id, input.offset(), input.offset(), input.offset(), 5};
        size = encode_data_header(to, header);
        std::memcpy(space + size, "forge", 5);
        size += 5;
        break;
      }
      case 9: {
        std::vector<TableEntry> table;
        for (int i = input.byte() % 4; i > 0; --i) {
          table.push_back(
              {StreamId{input.byte() % 16u}, input.offset(), input.offset(), input.offset(), true});
        }
        encode_table(pipe, StreamId{input.offset()}, table);
        return;
      }
      default:
        size = encode_goodbye_frame(to, Cause::shutdown);
        break;
    }
    pipe.insert(pipe.end(), space, space + size);
  }

  bool forged_ = false;
  Time now_{seconds(1)};
  MemoryPool client_pool_{1 * kMiB, kMostStreams};
  MemoryPool server_pool_{1 * kMiB, 2 * kMostStreams};
  LinkRegistry registry_;
  ClientPolicy policy_;
  std::unique_ptr<Link> client_link_;
  Side client_{true, forged_};
  Side server_{false, forged_};
  std::unique_ptr<HelloReader> greeting_;
  std::uint64_t carriers_ = 0;
  unsigned links_ = 1;
};

}  // namespace
}  // namespace holdfast::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdfast;
  fuzz::Input input(Bytes(data, size));
  fuzz::Pair pair;
  for (int i = 0; i < 2000 && !input.empty(); ++i) pair.act(input);
  pair.finish();
  return 0;
}
