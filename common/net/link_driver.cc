#include "common/net/link_driver.h"

#include <algorithm>

#include "common/core/tuning.h"

namespace holdfast {
namespace {

// What one link may do in one turn before others have theirs.
constexpr std::size_t kEffectsPerTurn = 1024;
// What one read should bring at most: some milliseconds' work, if each is a stream opened or ended.
constexpr std::size_t kEffectsPerRead = 512;
// Some 50 us each: a client that opens thousands at once must not hold up the others.
constexpr std::size_t kConnectsPerTurn = 32;
constexpr std::size_t kBytesPerTurn = 1 * kMiB;
// Reads when several streams are active, for latency, and when one is, for throughput.
constexpr std::size_t kSmallRead = 64 * kKiB;
constexpr std::size_t kLargeRead = 256 * kKiB;
constexpr std::size_t kLeastRead = 4 * kKiB;
// How long the peer of a finished carrier has for ending it too.
constexpr Duration kFinishPatience = milliseconds(300);

}  // namespace

LinkDriver::LinkDriver(Loop& loop, Link& link, Host& host, Observer& observer,
                       ClosingCarriers& closing, std::string peer, std::string name)
    : loop_(loop),
      link_(link),
      host_(host),
      observer_(observer),
      closing_(closing),
      peer_(std::move(peer)),
      name_(std::move(name)),
      timer_(loop.timers(), [this] { touch(); }) {}

std::string_view LinkDriver::peer() const {
  return peer_.empty() ? link_.server_name() : peer_;
}

std::string LinkDriver::carrier_address() const {
  const Carrier* carrier = find(link_.carrier());
  return carrier == nullptr ? std::string() : carrier->peer().to_string();
}

// --- Carriers -------------------------------------------------------------------------------

void LinkDriver::adopt(std::unique_ptr<Carrier> carrier) {
  carrier->set_owner(*this);
  CarrierId id = carrier->id();
  Duration round_trip = carrier->round_trip();
  carriers_.push_back(std::move(carrier));
  if (link_.options().role == LinkOptions::Role::client) {
    link_.carrier_up(loop_.now(), id, round_trip);
  }
  touch();
}

Carrier* LinkDriver::find(CarrierId id) const {
  for (const auto& carrier : carriers_) {
    if (carrier->id() == id) return carrier.get();
  }
  return nullptr;
}

void LinkDriver::part_with(CarrierId id) {
  auto found = std::find_if(carriers_.begin(), carriers_.end(),
                            [&](const auto& carrier) { return carrier->id() == id; });
  if (found == carriers_.end()) return;
  closing_.adopt(std::move(*found));
  carriers_.erase(found);
}

bool LinkDriver::carrier_may_read(Carrier&) {
  bool drained = drain(kEffectsPerTurn);
  if (drained && read_effects_ < kEffectsPerTurn) return true;
  touch();
  return false;  // the rest waits for the next turn
}

void LinkDriver::carrier_bytes(Carrier& carrier, Bytes bytes) {
  std::uint64_t before = effects_;
  link_.carrier_bytes(loop_.now(), carrier.id(), bytes);
  // All of them: the bytes lie in the loop's buffer. A read's size bounds how many they are.
  while (!drain(SIZE_MAX)) {
  }
  adapt_read_size(bytes.size(), effects_ - before);
  carrier.set_read_size(std::min(carrier_read_, read_budget()));
  touch();
}

// Reads of many small frames get smaller, so that a peer that opens and resets thousands of streams
// in one read (or honestly moves single bytes of thousands) leaves the others their turns.
void LinkDriver::adapt_read_size(std::size_t bytes, std::uint64_t effects) {
  read_effects_ += effects;
  if (effects > kEffectsPerRead) {
    carrier_read_ = std::max(kLeastRead, bytes * kEffectsPerRead / effects);
  } else {
    carrier_read_ = std::min(carrier_read_ * 2, kLargeRead);
  }
}

void LinkDriver::carrier_writable(Carrier&) {
  touch();
}

void LinkDriver::carrier_lost(Carrier& carrier, Cause cause, const std::string& reason) {
  std::string address = carrier.peer().to_string();
  last_error_ = address + ": " + reason;
  bool client = link_.options().role == LinkOptions::Role::client;
  if (client && !link_.live() && carrier.id() == link_.carrier()) {
    observer_.dial_failed(address, reason);  // in TLS 1.3 a client learns late that it is refused
  }
  link_.carrier_down(loop_.now(), carrier.id(), cause);
  part_with(carrier.id());
  touch();
}

// --- A turn's end ---------------------------------------------------------------------------

bool LinkDriver::pump() {
  Time now = loop_.now();
  before_transmit_ = true;
  if (now >= link_.next_timeout()) link_.timeout(now);
  drain(kEffectsPerTurn);
  connect_some();
  verify();
  before_transmit_ = false;
  if (settled_) {
    transmit();
    drain(kEffectsPerTurn);
  }
  adapt_to_activity();
  if (link_.options().trace) observer_.trace(link_.id(), link_.take_trace());
  timer_.arm(link_.next_timeout());
  return !settled_ || !connects_.empty();
}

void LinkDriver::connect_some() {
  for (std::size_t tried = 0; tried < kConnectsPerTurn && !connects_.empty();) {
    StreamHandle stream = connects_.front();
    connects_.pop_front();
    Slot* slot = slot_of(stream);
    if (slot == nullptr || !slot->waits_for_target) continue;  // reset meanwhile: costs nothing
    tried += 1;
    TargetStart target = host_.connect_target(*this, stream);
    slot->waits_for_target = false;
    if (target.connect) {
      TargetConnect& connect = *target.connect;
      slot->target = std::move(target.connect);
      slot->target_name = target.name;
      connect.settle();
    } else {
      link_.reset(loop_.now(), stream, target.refusal);
    }
  }
}

bool LinkDriver::drain(std::size_t most) {
  for (; most > 0; --most) {
    std::optional<Effect> effect = link_.poll_effect(loop_.now());
    settled_ = !effect;
    if (!effect) return true;
    effects_ += 1;
    std::visit([this](const auto& what) { on(what); }, *effect);
  }
  return false;
}

// Not from within drain(): what is read makes effects of its own.
void LinkDriver::verify() {
  if (verify_ == CarrierId{} || !settled_) return;
  CarrierId id = std::exchange(verify_, CarrierId{});
  Carrier* carrier = find(id);
  if (carrier == nullptr || carrier->closed()) return;
  if (!carrier->read_once()) link_.carrier_silent(loop_.refresh(), id);
  drain(kEffectsPerTurn);
}

void LinkDriver::transmit() {
  std::size_t left = kBytesPerTurn;
  while (left > 0) {
    Carrier* carrier = find(link_.carrier());
    if (carrier == nullptr || !carrier->writable()) return;
    if (rest_carrier_ != carrier->id()) rest_.clear();  // its buffers went with the old carrier
    std::span<const iovec> buffers = rest_;
    if (rest_.empty()) {
      std::optional<Transmit> next = link_.poll_transmit(loop_.now(), tuning::kMaxGather);
      if (!next) return;
      HOLDFAST_CHECK(next->carrier == carrier->id());
      buffers = next->buffers;
      rest_carrier_ = next->carrier;
      rest_last_ = next->last;
    }
    std::size_t taken = carrier->write(buffers);
    if (carrier->closed()) return;
    keep_rest(buffers, taken);
    if (taken != 0) link_.written(loop_.now(), taken);
    if (rest_.empty()) all_written(*carrier);
    left -= std::min(left, taken);
  }
  touch();
}

void LinkDriver::keep_rest(std::span<const iovec> buffers, std::size_t taken) {
  std::vector<iovec> rest;
  for (const iovec& buffer : buffers) {
    std::size_t skip = std::min(taken, buffer.iov_len);
    taken -= skip;
    if (skip == buffer.iov_len) continue;
    rest.push_back({static_cast<std::uint8_t*>(buffer.iov_base) + skip, buffer.iov_len - skip});
  }
  rest_ = std::move(rest);
}

void LinkDriver::all_written(Carrier& carrier) {
  if (!rest_last_) return;
  rest_last_ = false;
  carrier.finish(loop_.now() + kFinishPatience);
  part_with(carrier.id());
}

void LinkDriver::adapt_to_activity() {
  std::size_t active = std::max(reads_, deliveries_);
  if (active != 0) last_reads_ = active;
  reads_ = 0;
  deliveries_ = 0;
  last_delivered_ = kNoSlot;
  read_effects_ = 0;
  if (Carrier* carrier = find(link_.carrier()); carrier != nullptr) {
    carrier->set_read_size(std::min(carrier_read_, read_budget()));
  }
}

std::size_t LinkDriver::read_budget() {
  return std::max(last_reads_, reads_) > 1 ? kSmallRead : kLargeRead;
}

// --- Streams --------------------------------------------------------------------------------

LinkDriver::Slot& LinkDriver::make_slot(StreamHandle stream) {
  if (stream.slot >= slots_.size()) slots_.resize(stream.slot + 1);
  Slot& slot = slots_[stream.slot];
  slot = Slot{};
  slot.id = stream.id;
  return slot;
}

const LinkDriver::Slot* LinkDriver::slot_of(StreamHandle stream) const {
  if (stream.slot >= slots_.size() || slots_[stream.slot].id != stream.id) return nullptr;
  return &slots_[stream.slot];
}

LinkDriver::Slot* LinkDriver::slot_of(StreamHandle stream) {
  return const_cast<Slot*>(std::as_const(*this).slot_of(stream));
}

Bridge* LinkDriver::bridge_of(StreamHandle stream) {
  Slot* slot = slot_of(stream);
  return slot == nullptr ? nullptr : slot->bridge.get();
}

void LinkDriver::attach(StreamHandle stream, Descriptor socket, bool is_unix) {
  Slot* known = slot_of(stream);
  Slot& slot = known != nullptr ? *known : make_slot(stream);
  slot.target.reset();
  slot.bridge = std::make_unique<Bridge>(loop_, link_, *this, stream, std::move(socket), is_unix);
  slot.bridge->start();
  touch();
}

void LinkDriver::connected(StreamHandle stream, TargetConnect::Outcome outcome) {
  Slot* slot = slot_of(stream);
  if (slot == nullptr) return;
  touch();
  if (!outcome.socket.valid()) {
    slot->target.reset();
    return link_.reset(loop_.now(), stream, outcome.cause);
  }
  link_.opened(loop_.now(), stream);
  attach(stream, std::move(outcome.socket), outcome.is_unix);
  auto summary = link_.find_stream(loop_.now(), stream.id, nullptr);
  if (summary) observer_.connection_open(info(stream, *summary));
}

void LinkDriver::read_last() {
  for (Slot& slot : slots_) {
    if (slot.bridge) slot.bridge->read_last();
  }
}

ConnectionInfo LinkDriver::info(StreamHandle stream, const StreamSummary& summary) const {
  ConnectionInfo info;
  bool client = link_.options().role == LinkOptions::Role::client;
  info.stream = stream;
  info.link = link_.id();
  info.service = link_.options().services[summary.service].name;
  info.peer = peer();
  info.client = summary.source.to_string();
  info.destination = summary.destination.to_string();
  const Slot* slot = slot_of(stream);
  if (slot != nullptr && slot->target_name != nullptr) info.target = *slot->target_name;
  if (!client && info.service == kByDestination) info.target = info.destination;
  info.bytes_up = client ? summary.sent_bytes : summary.received_bytes;
  info.bytes_down = client ? summary.received_bytes : summary.sent_bytes;
  info.summary = summary;
  return info;
}

LinkEvent LinkDriver::event() const {
  LinkEvent event;
  event.link = link_.id();
  event.name = name_;
  event.peer = std::string(peer());
  event.address = carrier_address();
  event.round_trip = link_.liveness().round_trip();
  event.grace = link_.grace();
  event.connections = static_cast<std::uint32_t>(link_.stream_count());
  event.detail = link_.detail();
  event.replayed_bytes = link_.counters().replayed_bytes;
  return event;
}

}  // namespace holdfast
