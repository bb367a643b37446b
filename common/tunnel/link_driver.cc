#include "common/tunnel/link_driver.h"

#include <algorithm>

#include "common/core/tuning.h"
#include "common/tunnel/connection_marks.h"

namespace holdfast {
namespace {

// Reads when several streams are active, for latency, and when one is, for throughput.
constexpr std::size_t kSmallRead = 64 * kKiB;
constexpr std::size_t kLargeRead = 256 * kKiB;
static_assert(Pump::kMostRead <= Loop::kReadBufferSize && kLargeRead <= Loop::kReadBufferSize);
// How long the peer of a finished carrier has for ending it too.
constexpr Duration kFinishPatience = milliseconds(300);

}  // namespace

LinkDriver::LinkDriver(Loop& loop, Link& link, Owner& owner, Observer& observer,
                       ClosingCarriers& closing, std::string peer, std::string name)
    : loop_(loop),
      link_(link),
      pump_(link, *this),
      owner_(owner),
      observer_(observer),
      closing_(closing),
      peer_(std::move(peer)),
      name_(std::move(name)),
      look_timer_(loop.timers(), [this] { look_at_some(); }),
      timer_(loop.timers(), [this] { touch(); }) {}

std::string_view LinkDriver::peer() const {
  return peer_.empty() ? link_.server_name() : peer_;
}

std::string LinkDriver::carrier_address() const {
  const Carrier* carrier = find(link_.carrier());
  return carrier == nullptr ? std::string() : carrier->peer().to_string();
}

// A client knows that there is one where its server has a home elsewhere.
std::string LinkDriver::balancer() const {
  const Carrier* carrier = find(link_.carrier());
  if (carrier == nullptr) return {};
  if (carrier->via()) return carrier->via()->to_string();
  bool client = link_.options().role == LinkOptions::Role::client;
  bool direct = !client || link_.home() == Home{} || link_.home().address == carrier_address();
  return direct ? "" : carrier_address();
}

std::optional<std::uint32_t> LinkDriver::subflows() const {
  const Carrier* carrier = find(link_.carrier());
  return carrier == nullptr ? std::nullopt : carrier->subflows();
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

bool LinkDriver::carrier_readable(Carrier&) {
  return pump_.prepare_read(loop_.now());
}

void LinkDriver::carrier_bytes(Carrier& carrier, Bytes bytes) {
  pump_.carrier_bytes(loop_.now(), carrier.id(), bytes);
  carrier.set_read_size(carrier_read_size());
}

void LinkDriver::carrier_writable(Carrier&) {
  touch();
}

void LinkDriver::carrier_lost(Carrier& carrier, Cause cause, const std::string& reason) {
  std::string address = carrier.peer().to_string();
  bool client = link_.options().role == LinkOptions::Role::client;
  bool dialled = client && !link_.live() && carrier.id() == link_.carrier();
  // In TLS 1.3 a client learns late that it is refused.
  std::string why = reason;
  if (dialled && cause == Cause::carrier_eof) {
    why += " before its answer (it is another program, or wants TLS, or its log says why)";
  }
  last_error_ = address + ": " + why;
  if (dialled) observer_.dial_failed(address, why);
  link_.carrier_down(loop_.now(), carrier.id(), cause);
  part_with(carrier.id());
  touch();
}

// --- A turn's end ---------------------------------------------------------------------------

bool LinkDriver::pump() {
  read_fresh();
  bool more = pump_.turn(loop_.now());
  if (link_.silent() != (silent_since_ != kNever)) tell_silence();
  adapt_to_activity();
  if (link_.options().trace) observer_.trace(link_.id(), link_.take_trace());
  timer_.arm(link_.next_timeout());
  return more;
}

// Of several that were accepted in one turn, what the earlier ones have to say, and their ends, are
// to come before the later ones: an application may have made one after the other.
void LinkDriver::read_fresh() {
  if (!fresh_.empty()) fresh_.pop_back();
  for (StreamHandle stream : fresh_) {
    if (Bridge* bridge = bridge_of(stream)) bridge->read_first();
  }
  fresh_.clear();
}

void LinkDriver::tell_silence() {
  LinkEvent told = event();
  if (link_.silent()) {
    silent_since_ = told.since = link_.outage_since();
    observer_.link_silent(told);
  } else {
    told.outage = loop_.now() - std::exchange(silent_since_, kNever);
    observer_.link_heard(told);
  }
}

void LinkDriver::adapt_to_activity() {
  std::size_t active = std::max(reads_, deliveries_);
  if (active != 0) last_reads_ = active;
  reads_ = 0;
  deliveries_ = 0;
  last_delivered_ = kNoSlot;
  if (Carrier* carrier = find(link_.carrier()); carrier != nullptr) {
    carrier->set_read_size(carrier_read_size());
  }
}

std::size_t LinkDriver::carrier_read_size() {
  return std::min(pump_.read_size(), read_budget());
}

std::size_t LinkDriver::read_budget() {
  return std::max(last_reads_, reads_) > 1 ? kSmallRead : kLargeRead;
}

// --- What the pump asks for -----------------------------------------------------------------

void LinkDriver::connect(StreamHandle stream) {
  TargetStart target = owner_.connect_target(*this, stream);
  if (target.connect == nullptr) return link_.reset(loop_.now(), stream, target.refusal);
  Attachment& attachment = attach_to(stream);
  attachment.target_name = target.name;
  attachment.target = std::move(target.connect);
  attachment.target->settle();
}

bool LinkDriver::read_once(CarrierId id) {
  Carrier* carrier = find(id);
  return carrier == nullptr || carrier->closed() || carrier->read_once();
}

std::optional<PathReport> LinkDriver::path(CarrierId id) const {
  const Carrier* carrier = find(id);
  if (carrier == nullptr) return std::nullopt;
  std::optional<PathReport> path = carrier->path();
  if (path) path->beside = beside_;
  return path;
}

std::size_t LinkDriver::room(CarrierId id) {
  return find(id)->room();
}

bool LinkDriver::writable(CarrierId id) const {
  const Carrier* carrier = find(id);
  return carrier != nullptr && carrier->writable();
}

std::size_t LinkDriver::write(CarrierId id, std::span<const iovec> buffers) {
  return find(id)->write(buffers);
}

void LinkDriver::finish(CarrierId id) {
  Carrier* carrier = find(id);
  if (carrier == nullptr) return;
  carrier->finish(loop_.now() + kFinishPatience);
  part_with(id);
}

// --- Streams --------------------------------------------------------------------------------

LinkDriver::Attachment& LinkDriver::attach_to(StreamHandle stream) {
  if (stream.slot >= attachments_.size()) attachments_.resize(stream.slot + 1);
  Attachment& attachment = attachments_[stream.slot];
  attachment = Attachment{};
  attachment.id = stream.id;
  return attachment;
}

const LinkDriver::Attachment* LinkDriver::attachment_of(StreamHandle stream) const {
  if (stream.slot >= attachments_.size() || attachments_[stream.slot].id != stream.id)
    return nullptr;
  return &attachments_[stream.slot];
}

LinkDriver::Attachment* LinkDriver::attachment_of(StreamHandle stream) {
  return const_cast<Attachment*>(std::as_const(*this).attachment_of(stream));
}

Bridge* LinkDriver::bridge_of(StreamHandle stream) {
  Attachment* attachment = attachment_of(stream);
  return attachment == nullptr ? nullptr : attachment->bridge.get();
}

void LinkDriver::attach(StreamHandle stream, ApplicationSocket socket) {
  Attachment* known = attachment_of(stream);
  Attachment& attachment = known != nullptr ? *known : attach_to(stream);
  attachment.target.reset();
  attachment.bridge = std::make_unique<Bridge>(loop_, link_, *this, stream, std::move(socket));
  attachment.bridge->start();
  if (!look_timer_.armed()) look_later(patiences());
  if (link_.options().role == LinkOptions::Role::client) fresh_.push_back(stream);
  touch();
}

void LinkDriver::go_on(const RecoveredStream& stream, Descriptor socket,
                       const std::string* target) {
  touch();
  if (!socket.valid()) return;  // closed already, or to be connected: the link says so
  Attachment& attachment = attach_to(stream.stream);
  attachment.target_name = target;
  bool is_unix = SocketAddress::own_of(socket.get()).is_unix();
  // What was read of a Unix socket is counted anew.
  std::uint64_t read_before = is_unix ? 0 - stream.read : stream.read_before;
  ApplicationSocket its{std::move(socket), is_unix, read_before, stream.written_before};
  attachment.bridge = std::make_unique<Bridge>(loop_, link_, *this, stream.stream, std::move(its));
  attachment.bridge->go_on(stream);
  if (!look_timer_.armed()) look_later(patiences());
}

void LinkDriver::tell_lost(const Recovered::Lost& lost) const {
  const auto& services = link_.options().services;
  std::string service = lost.service < services.size() ? services[lost.service].name : "";
  observer_.connection_lost(
      {std::move(service), std::string(peer()), lost.source.to_string(), lost.reason});
}

void LinkDriver::hand_over(LinkDriver& to) {
  for (StreamHandle stream : link_.unwritten()) {
    auto moved = to.link_.take_over(loop_.now(), link_, stream);
    if (!moved) continue;
    Attachment* attachment = attachment_of(stream);
    if (attachment == nullptr) continue;  // its application is gone
    if (attachment->bridge) attachment->bridge->move(to.link_, to, *moved);
    to.attach_to(*moved).bridge = std::move(attachment->bridge);
    *attachment = Attachment{};
  }
  if (!to.look_timer_.armed()) to.look_later(to.patiences());
  touch();
  to.touch();
}

void LinkDriver::connected(StreamHandle stream, TargetConnect::Outcome outcome) {
  Attachment* attachment = attachment_of(stream);
  if (attachment == nullptr) return;
  touch();
  if (!outcome.socket.valid()) {
    attachment->target.reset();
    return link_.reset(loop_.now(), stream, outcome.cause);
  }
  // Who connects has written a SYN.
  std::uint64_t written = outcome.header_size + (outcome.address.is_unix() ? 0 : 1);
  link_.attach(stream, {outcome.socket.get(), 0, written});
  link_.opened(loop_.now(), stream);
  // With another's address as its own it says nothing of who made it.
  if (link_.options().mark_key != MarkKey{} && !outcome.address.is_unix() && !outcome.from_source) {
    Endpoint own = SocketAddress::own_of(outcome.socket.get()).endpoint();
    Mark mark = connection_mark(link_.options().mark_key, own, outcome.address.endpoint());
    link_.tell_origin(loop_.now(), stream, mark.value);
  }
  attach(stream, {std::move(outcome.socket), outcome.address.is_unix(), 0, written});
  auto summary = link_.find_stream(loop_.now(), stream.id, nullptr);
  if (summary) observer_.connection_open(info(stream, *summary));
}

void LinkDriver::read_last() {
  for (Attachment& attachment : attachments_) {
    if (attachment.bridge) attachment.bridge->read_last();
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
  const Attachment* attachment = attachment_of(stream);
  if (attachment != nullptr && attachment->target_name != nullptr)
    info.target = *attachment->target_name;
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
  event.lane = lane_;
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
