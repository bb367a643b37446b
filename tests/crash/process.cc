#include "tests/crash/process.h"

#include <algorithm>

#include "common/base/overloaded.h"
#include "tests/crash/world.h"

namespace holdfast::crash {
namespace {

constexpr std::uint64_t kMemory = 96 * kKiB;
constexpr std::uint32_t kStreams = 6;

// The other side finds the conversation by its application's port.
OpenRequest request_of(const Socket& socket) {
  OpenRequest request;
  request.source.family = EndpointFamily::ipv4;
  request.source.port = static_cast<std::uint16_t>(socket.conversation());
  request.socket = {socket.descriptor(), 0, 0};
  return request;
}

}  // namespace

Process::Process(Host& host) : host_(host) {
  StateRegion::Room room{2, 32};
  pool_ = std::make_unique<MemoryPool>(kMemory, kStreams, nullptr, make_plain_memory, room);
  host_.doom().watch(pool_->region.bytes());
}

Process::~Process() {
  link_ = nullptr;
  pump_.reset();
}

Time Process::now() const {
  return host_.world().now();
}

LinkOptions Process::options() const {
  LinkOptions link;
  link.role = host_.side() == 0 ? LinkOptions::Role::client : LinkOptions::Role::server;
  link.name = host_.side() == 0 ? "edge" : "gate";
  link.services = {{"echo", seconds(3000)}};
  link.grace = seconds(3000);
  link.open_timeout = seconds(3000);
  link.max_window = 32 * kKiB;
  link.max_streams = kStreams;
  link.start_id = 7;
  return link;
}

ClientPolicy Process::policy() const {
  ClientPolicy policy;
  policy.name = "edge";
  policy.services = options().services;
  return policy;
}

void Process::begin(const RegionMemory* relics) {
  if (host_.side() == 1) {
    registry_ = std::make_unique<LinkRegistry>(RegistryOptions{"gate", options()}, *pool_,
                                               host_.world().random().next());
  }
  Result<OldState> state = Error{"nothing"};
  if (relics != nullptr) state = OldState::read(relics->bytes());
  require(relics == nullptr || state.ok(), "a state cannot be read");
  if (state.ok() && (host_.side() == 1 || !state->links().empty())) return recover(*state);
  if (host_.side() == 0) {
    LinkId id;
    id.bytes[0] = static_cast<std::uint8_t>(1 + host_.deaths);
    own_link_ = std::make_unique<Link>(options(), *pool_, id, 0);
    use(own_link_.get());
  }
  host_.commit();
  close_the_rest({}, false);
}

void Process::use(Link* link) {
  if (link == link_) return;
  link_ = link;
  pump_.reset();
  if (link != nullptr) pump_.emplace(*link, *this, Pump::Budget{SIZE_MAX, SIZE_MAX, 1, 4096});
}

// --- Applications ------------------------------------------------------------------------------

void Process::track(StreamHandle stream, int descriptor) {
  ends_[stream.id.value] = {descriptor};
  streams_.push_back(stream);
}

void Process::forget(StreamHandle stream) {
  ends_.erase(stream.id.value);
  std::erase(streams_, stream);
}

Socket* Process::socket_of(StreamHandle stream) {
  auto found = ends_.find(stream.id.value);
  return found == ends_.end() ? nullptr : host_.find(found->second.descriptor);
}

// The socket goes first from the record: a descriptor that is named there is this stream's.
void Process::end(StreamHandle stream, Socket& socket, bool in_order) {
  if (dead()) return;
  Intent& intent = pool_->region.intent();
  intent.begin(Intent::Operation::close, link_->index(), stream.slot);
  if (in_order && !dead()) socket.clear_linger();
  store_hook();
  link_->detach(stream, socket.descriptor());
  if (!dead()) socket.close();
  store_hook();
  intent.end();
  forget(stream);
}

void Process::accept(std::uint32_t conversation) {
  if (dead() || link_ == nullptr) return;
  Running running(host_.doom());
  Socket& socket = host_.open(conversation, host_.world().application(conversation, 0));
  store_hook();
  take(socket);
}

void Process::take(Socket& socket) {
  auto stream = link_->open(now(), request_of(socket));
  if (stream.ok()) return track(*stream, socket.descriptor());
  require(dead(), "an application is refused");
}

void Process::read_socket(StreamHandle stream) {
  Socket* socket = socket_of(stream);
  auto found = ends_.find(stream.id.value);
  if (dead() || socket == nullptr || !found->second.reads) return;
  Running running(host_.doom());
  // The poller tells of an error, and it is asked for: no read is under way.
  if (socket->broken() && host_.world().random().below(2) == 0) {
    socket->take_error();
    store_hook();
    link_->latch(stream);
    if (dead()) return;
    link_->abort(now(), stream);
    return end(stream, *socket, false);
  }
  iovec buffers[4];
  std::size_t count = link_->prepare(stream, 1 + host_.world().random().below(6000), buffers);
  if (count == 0) {
    found->second.reads = false;  // ResumeReading tells
    return;
  }
  Intent& intent = pool_->region.intent();
  intent.begin(Intent::Operation::read, link_->index(), stream.slot);
  std::size_t size = 0;
  Socket::Read what = Socket::Read::nothing;
  if (!dead()) what = socket->read({buffers, count}, size);
  host_.doom().called();
  if (what == Socket::Read::error) link_->latch(stream);
  link_->commit(now(), stream, size);
  intent.end();
  if (dead()) return;
  if (what == Socket::Read::end) {
    found->second.reads = false;
    found->second.fin_told = true;
    link_->finish(now(), stream);
    if (found->second.fin_out) end(stream, *socket, true);
  } else if (what == Socket::Read::error) {
    link_->abort(now(), stream);
    end(stream, *socket, false);
  }
}

std::size_t Process::put(StreamHandle stream, Socket& socket, Bytes bytes) {
  if (dead()) return 0;
  Intent& intent = pool_->region.intent();
  intent.begin(Intent::Operation::write, link_->index(), stream.slot);
  std::size_t taken = dead() ? 0 : socket.write(bytes);
  host_.doom().called();
  link_->delivered(now(), stream, taken);
  intent.end();
  return taken;
}

void Process::write_socket(StreamHandle stream) {
  Socket* socket = socket_of(stream);
  if (dead() || socket == nullptr) return;
  Running running(host_.doom());
  while (!dead()) {
    iovec buffer[1];
    if (link_->queued(stream, buffer) == 0) return;
    Bytes bytes(static_cast<const std::uint8_t*>(buffer[0].iov_base), buffer[0].iov_len);
    if (put(stream, *socket, bytes) < bytes.size()) return;
  }
}

// --- The pump's port ---------------------------------------------------------------------------

void Process::perform(const Effect& effect) {
  if (dead()) return;
  store_hook();
  std::visit(
      overloaded{
          [&](const effect::Deliver& e) {
            Socket* socket = socket_of(e.stream);
            if (socket != nullptr) put(e.stream, *socket, e.bytes);
          },
          [&](const effect::DeliverFin& e) {
            Socket* socket = socket_of(e.stream);
            if (socket == nullptr) return;
            bool both = ends_[e.stream.id.value].fin_told;
            if (!dead()) socket->shut_down();
            store_hook();
            link_->fin_delivered(now(), e.stream);
            ends_[e.stream.id.value].fin_out = true;
            if (both) end(e.stream, *socket, true);
          },
          [&](const effect::DeliverAbort& e) {
            Socket* socket = socket_of(e.stream);
            if (socket == nullptr) return;
            end(e.stream, *socket, false);
            if (!dead()) link_->abort_delivered(now(), e.stream);
          },
          [&](const effect::ResetSocket& e) {
            Socket* socket = socket_of(e.stream);
            if (socket == nullptr) return;
            host_.world().reset(socket->conversation(), host_.side(), e.cause);
            end(e.stream, *socket, false);
          },
          [&](const effect::ResumeReading& e) {
            auto found = ends_.find(e.stream.id.value);
            if (found != ends_.end() && !found->second.fin_told) found->second.reads = true;
          },
          [&](const effect::CloseCarrier& e) { host_.world().hang_up(e.carrier, host_.side()); },
          [&](const effect::LinkEnded& e) {
            host_.world().blame("a link ended: " + std::string(to_string(e.cause)) + " " +
                                link_->detail());
          },
          [&](const effect::Refused& e) {
            host_.world().blame("refused: " + std::string(to_string(e.cause)));
          },
          [](const auto&) {},
      },
      effect);
}

void Process::connect(StreamHandle stream) {
  if (dead()) return;
  auto summary = link_->find_stream(now(), stream.id, nullptr);
  require(summary.has_value(), "a connect for nobody");
  std::uint32_t conversation = summary->source.port;
  Socket& socket = host_.open(conversation, host_.world().connects(conversation));
  store_hook();
  link_->attach(stream, {socket.descriptor(), 0, 0});
  track(stream, socket.descriptor());
  if (!dead()) link_->opened(now(), stream);
}

bool Process::writable(CarrierId carrier) const {
  return !dead() && host_.world().wire(carrier) != nullptr;
}

std::size_t Process::write(CarrierId carrier, std::span<const iovec> buffers) {
  store_hook();
  Wire* wire = host_.world().wire(carrier);
  if (dead() || wire == nullptr) return 0;
  std::size_t most = 1 + host_.world().random().below(5000);
  std::size_t taken = 0;
  for (const iovec& each : buffers) {
    auto* bytes = static_cast<const std::uint8_t*>(each.iov_base);
    std::size_t size = std::min(each.iov_len, most - taken);
    auto& pipe = wire->to[1 - host_.side()];
    if (!wire->ends[1 - host_.side()]) pipe.insert(pipe.end(), bytes, bytes + size);
    taken += size;
  }
  store_hook();
  return taken;
}

// --- Carriers ----------------------------------------------------------------------------------

void Process::turn() {
  if (dead() || !pump_) return;
  Running running(host_.doom());
  pump_->turn(now());
}

void Process::dial() {
  if (dead() || link_ == nullptr || !link_->wants_carrier()) return;
  Running running(host_.doom());
  Wire& wire = host_.world().new_wire();
  store_hook();
  link_->carrier_up(now(), wire.id, milliseconds(5));
  pump_->turn(now());
}

void Process::carrier_bytes(Wire& wire, Bytes bytes) {
  if (dead()) return;
  Running running(host_.doom());
  store_hook();
  bool greets = host_.side() == 1 && (link_ == nullptr || link_->carrier() != wire.id);
  if (greets) return greet(wire, bytes);
  if (!pump_ || !pump_->prepare_read(now())) return;
  if (dead()) return;
  pump_->carrier_bytes(now(), wire.id, bytes);
  if (!dead()) pump_->turn(now());
}

void Process::carrier_down(Wire& wire) {
  if (dead()) return;
  Running running(host_.doom());
  greeting_.erase(wire.id.value);
  if (link_ == nullptr) return;
  link_->carrier_down(now(), wire.id, Cause::carrier_reset);
  pump_->turn(now());
}

void Process::greet(Wire& wire, Bytes bytes) {
  auto [reader, first] = greeting_.try_emplace(wire.id.value, kStreams + 4);
  HelloReader::State state = reader->second.feed(bytes);
  if (state == HelloReader::State::incomplete) return;
  require(state == HelloReader::State::complete, "a HELLO failed: " + reader->second.reason());
  auto decision = registry_->hello(now(), wire.id, policy(), std::move(reader->second.request()));
  greeting_.erase(wire.id.value);
  if (dead()) return;
  if (auto* accepted = std::get_if<LinkRegistry::Accepted>(&decision)) {
    use(accepted->link);
    pump_->turn(now());
    return;
  }
  // An old HELLO; or its link is not known here, which must not be while nothing was lost.
  require(std::holds_alternative<LinkRegistry::Stale>(decision), "a HELLO was refused");
  host_.world().hang_up(wire.id, 1);
}

}  // namespace holdfast::crash
