// The life of a link and of its carriers.
#include "common/core/link.h"

#include <algorithm>

#include "common/core/service_grants.h"

namespace holdfast {

Link::Link(LinkOptions options, MemoryPool& pool, LinkId id, std::uint64_t instance)
    : LinkBody(std::move(options), pool, id, instance) {}

Link::~Link() = default;

LinkBody::LinkBody(LinkOptions options, MemoryPool& pool, LinkId id, std::uint64_t instance)
    : options_(std::move(options)),
      wanted_(options_),
      pool_(pool),
      id_(id),
      instance_(instance),
      ordinal_(options_.first_ordinal) {
  if (ClientShare* share = options_.share; share != nullptr) {
    share->allow_streams(options_.max_streams);
    send_share_.together = &share->send();
    receive_share_.together = &share->receive();
  }
  allow_memory(options_.memory_cap);
  keep_facts();
}

LinkBody::~LinkBody() {
  pending_ = {};
  for (SlotIndex slot = streams_.first(); slot != kNoSlot; slot = streams_.next(slot)) {
    release_memory(streams_[slot]);
    leave_pool();
  }
  release_pins();
}

CarrierId LinkBody::carrier() const {
  if (auto* live = std::get_if<Live>(&state_)) return live->carrier;
  if (auto* greeting = std::get_if<Greeting>(&state_)) return greeting->carrier;
  if (auto* leaving = std::get_if<Leaving>(&state_)) return leaving->carrier;
  return {};
}

std::string_view Link::state_name() const {
  if (std::holds_alternative<Detached>(state_)) return "detached";
  if (std::holds_alternative<Greeting>(state_)) return "greeting";
  if (std::holds_alternative<Live>(state_)) return "live";
  if (std::holds_alternative<Leaving>(state_)) return "leaving";
  return "ended";
}

bool LinkBody::sending() const {
  if (std::holds_alternative<Live>(state_)) return true;
  auto* leaving = std::get_if<Leaving>(&state_);
  return leaving != nullptr && !leaving->said;
}

bool LinkBody::reading() const {
  auto* leaving = std::get_if<Leaving>(&state_);
  if (leaving != nullptr) return !leaving->said && leaving->reason != Cause::protocol;
  return live() || std::holds_alternative<Greeting>(state_);
}

Time LinkBody::outage_since() const {
  if (!live()) return lost_since_;
  return silent() ? liveness_.silent_since() : kNever;
}

// The peer is heard again through the carrier that fell silent.
void LinkBody::silence_over(Time now, Time since) {
  counters_.outage += now - since;
  release_standby();
}

bool Link::wants_carrier() const {
  if (!client() || standby_) return false;
  if (detached()) return true;
  if (auto* greeting = std::get_if<Greeting>(&state_)) return greeting->impatient;
  return silent();
}

// --- Carriers -------------------------------------------------------------------------------

void Link::carrier_up(Time now, CarrierId carrier, Duration round_trip) {
  HOLDFAST_CHECK(client());
  if (!wants_carrier()) return push(effect::CloseCarrier{carrier, Cause::carrier_replaced});
  if (live()) {
    standby_ = Standby{carrier, round_trip, now + tuning::kStandbyHold};
    return;
  }
  if (auto* greeting = std::get_if<Greeting>(&state_)) {
    if (!greeting->moved && first_bytes_.passed()) mute_greetings_ += 1;
    greeting_failed(*greeting);
    drop_carrier(now, Cause::carrier_replaced, Socket::must_close);
  }
  start_greeting(now, carrier, round_trip);
}

// The old carrier stayed silent, or is gone.
void LinkBody::use_standby(Time now) {
  if (!standby_) return;
  Standby standby = *standby_;
  standby_.reset();
  if (live()) drop_carrier(now, Cause::carrier_silent, Socket::must_close);
  start_greeting(now, standby.carrier, standby.round_trip);
}

// The old carrier spoke, or the link is ending: nothing happened.
void LinkBody::release_standby() {
  if (standby_) push(effect::CloseCarrier{standby_->carrier, Cause::carrier_replaced});
  standby_.reset();
}

// Rule 2: the old carrier is gone; snapshot, HELLO, and no stream frame until WELCOME.
void LinkBody::start_greeting(Time now, CarrierId carrier, Duration round_trip) {
  agree_anew();
  liveness_.start(now, options_.heartbeat, options_.dead_after, round_trip);
  start_first_bytes();
  attempt_ += 1;
  Hello hello;
  hello.link = id_;
  hello.instance = instance_;
  hello.attempt = attempt_;
  hello.name = options_.name;
  hello.slot = options_.slot;
  hello.start_id = options_.start_id;
  hello.ordinal = ordinal_;
  hello.features = kFeatureServicesDown;
  hello.mark_key = options_.mark_key;
  handshake_.clear();
  encode_hello(handshake_, hello);
  std::vector<TableEntry> table = make_table();
  encode_table(handshake_, last_id_, table);
  trace_.frame(now, TraceEvent::Kind::send, FrameType::hello);
  trace_.frame(now, TraceEvent::Kind::send, FrameType::table, 0, 0, table.size());
  Greeting greeting;
  greeting.carrier = carrier;
  greeting.since = greeting.moved_at = now;
  // Doubles with every failure, so that a slow path is not greeted anew for ever.
  auto doubled = [this](std::uint32_t times) {
    return std::min<Duration>(liveness_.patience() * (1 << std::min(times, 5U)),
                              options_.handshake_timeout);
  };
  // Those that a kernel took at once, and nobody answered: a middlebox that is mute for a while, or
  // a relay that is near with the peer far behind it. A link that has lived knows the way.
  bool has_lived = live_since_ != Time{};
  std::uint32_t spared = has_lived ? tuning::kMuteGreetings : tuning::kFirstMuteGreetings;
  std::uint32_t mute = mute_greetings_ - std::min(mute_greetings_, spared);
  std::uint32_t failed = std::max(failed_greetings_, mute);
  greeting.impatient_at = now + doubled(failed);
  // A relay's kernel may have taken a long table that takes the rest of its way much longer.
  greeting.answer_in = doubled(handshake_.size() > tuning::kLongHello ? failed : mute);
  greeting.unanswered_at = now + greeting.answer_in;
  state_ = std::move(greeting);
}

// Rule 3, in one step: record the attempt, drop the old carrier, stop the grace timer, apply the
// client's table, then compute our own.
void Link::accept(Time now, CarrierId carrier, const Hello& hello, StreamId highest,
                  const std::vector<TableEntry>& table, bool created) {
  HOLDFAST_CHECK(!client() && !ended());
  HOLDFAST_CHECK(hello.attempt > attempt_);
  attempt_ = hello.attempt;
  agree_anew();
  peer_name_ = hello.name;
  ordinal_ = hello.ordinal;
  options_.slot = hello.slot;
  options_.start_id = hello.start_id;
  keep_facts();
  if (created) {
    detached_since_ = now;
  } else if (!detached()) {
    drop_carrier(now, Cause::carrier_replaced, Socket::must_close);
  }
  state_ = Live{carrier};
  // Later than the client's, whose question then is the only one of both.
  Duration heartbeat = options_.heartbeat * tuning::kServerHeartbeat / 100;
  liveness_.start(now, heartbeat, options_.dead_after, Duration{});
  start_first_bytes();
  trace_.frame(now, TraceEvent::Kind::receive, FrameType::hello);
  trace_.frame(now, TraceEvent::Kind::receive, FrameType::table, 0, 0, table.size());
  if (!apply_table(now, highest, table)) return;
  Welcome welcome;
  welcome.verdict = created ? Verdict::created : Verdict::resumed;
  welcome.instance = instance_;
  welcome.server = options_.name;
  welcome.grace = options_.grace;
  if (options_.announce_liveness) {
    welcome.heartbeat = options_.heartbeat;
    welcome.dead_after = options_.dead_after;
  }
  peer_features_ = hello.features;
  options_.mark_key = hello.mark_key;
  if (down_) welcome.features = hello.features & kFeatureServicesDown;
  welcome.max_streams = options_.max_streams;
  welcome.initial_credit = tuning::kFloor;
  for (const LinkService& service : options_.services) {
    if (service.name == kByDestination) continue;  // the link's
    if (service.grace != options_.grace && welcome.services.size() < kMaxServiceGraces) {
      welcome.services.push_back({service.name, service.grace});
    }
  }
  welcome.grants = grants_of(options_.services);
  welcome.home = options_.home;
  handshake_.clear();
  encode_welcome(handshake_, welcome);
  std::vector<TableEntry> own = make_table();
  encode_table(handshake_, last_id_, own);
  trace_.frame(now, TraceEvent::Kind::send, FrameType::welcome);
  trace_.frame(now, TraceEvent::Kind::send, FrameType::table, 0, 0, own.size());
  become_live(now, carrier, created ? Standing::created : Standing::resumed);
  queue_notice();
  // Windows grow by the round trip, and a carrier that is never silent would otherwise never be
  // asked.
  ping_due_ = true;
}

void Link::carrier_bytes(Time now, CarrierId from, Bytes bytes) {
  if (from != carrier() || bytes.empty() || !reading()) return;  // an old carrier's (rule 3)
  liveness_.heard(now);
  if (auto* greeting = std::get_if<Greeting>(&state_)) greeting_moves(now, *greeting);
  reader_.feed(bytes);
}

void Link::carrier_down(Time now, CarrierId lost, Cause cause) {
  if (standby_ && standby_->carrier == lost) return standby_.reset();
  if (lost != carrier() || lost == CarrierId{}) return;
  if (auto* leaving = std::get_if<Leaving>(&state_)) {
    Cause reason = leaving->reason;
    drop_carrier(now, cause, Socket::is_gone);
    return become_ended(now, reason);
  }
  if (auto* greeting = std::get_if<Greeting>(&state_)) greeting_failed(*greeting);
  drop_carrier(now, cause, Socket::is_gone);
  use_standby(now);
}

void Link::carrier_silent(Time now, CarrierId silent) {
  if (silent != carrier() || !live()) return;
  if (now < liveness_.dead_at()) return;
  drop_carrier(now, Cause::carrier_silent, Socket::must_close);
  use_standby(now);
}

void Link::doubt(Time now) {
  if (live()) liveness_.doubt(now);
}

// Rule 1: an old carrier is dropped altogether; what it was to carry is computed anew later.
// Leaves the link detached (or, when it was live, freshly so).
void LinkBody::drop_carrier(Time now, Cause cause, Socket socket) {
  CarrierId old = carrier();
  if (old == CarrierId{}) return;
  bool was_greeting = std::holds_alternative<Greeting>(state_);
  settle_delivery();
  reader_ = FrameReader{};
  incoming_ = {};
  handshake_.clear();
  handshake_sent_.clear();
  unwritten_ = 0;
  last_gathered_ = false;
  drain_told_us_ = 0;
  first_bytes_.stop();
  release_pins();
  if (socket == Socket::must_close) push(effect::CloseCarrier{old, cause});
  trace_.note(now, TraceEvent::Kind::carrier_down, old.value, cause);
  state_ = Detached{};
  if (was_greeting) return;
  clear_lists();
  detached_since_ = now;
  lost_since_ = liveness_.silent_since();
  counters_.carriers_lost += 1;
  arm_grace();
  push(effect::LinkDown{cause, static_cast<std::uint32_t>(streams_.size()), lost_since_});
}

void LinkBody::become_live(Time now, CarrierId carrier, Standing standing) {
  bool resumed = standing == Standing::resumed;
  Duration outage = resumed ? now - lost_since_ : Duration{};
  lost_since_ = kNever;
  live_since_ = now;
  grace_deadline_ = kNever;
  service_deadline_ = kNever;
  failed_greetings_ = mute_greetings_ = 0;
  // Rule 9's time is one with a carrier: without one, the first too, nobody could make progress.
  for (Deadline& each : lingers_) {
    each.at += now - std::max(detached_since_, each.at - tuning::kAbortLinger);
  }
  if (resumed) {
    counters_.resumes += 1;
    counters_.outage += outage;
    for (SlotIndex slot = streams_.first(); slot != kNoSlot; slot = streams_.next(slot)) {
      StreamRecord& record = streams_[slot];
      if (client() && !record.ever_sent) continue;
      record.resumes += 1;
      record.detached_us += outage.count();
    }
  }
  trace_.note(now, TraceEvent::Kind::link_live, carrier.value);
  push(effect::LinkUp{carrier, resumed, outage, static_cast<std::uint32_t>(streams_.size())});
  detached_since_ = kNever;
  drain_due_ = draining_ && !client();
  requeue_all(now);
}

// Rule 5: the link's grace is the longest of its streams' services; shorter ones expire apart.
void LinkBody::arm_grace() {
  if (instance_ == 0) return;  // never established
  Duration longest{};
  bool any = false;
  for (SlotIndex slot = streams_.first(); slot != kNoSlot; slot = streams_.next(slot)) {
    const StreamRecord& record = streams_[slot];
    if (client() && !record.ever_sent) continue;
    longest = std::max(longest, options_.services[record.service].grace);
    any = true;
  }
  grace_deadline_ = detached_since_ + (any ? longest : options_.grace);
  service_deadline_ = kNever;
  for (SlotIndex slot = streams_.first(); any && slot != kNoSlot; slot = streams_.next(slot)) {
    const StreamRecord& record = streams_[slot];
    if (client() && !record.ever_sent) continue;
    Duration own = options_.services[record.service].grace;
    if (own < longest) service_deadline_ = std::min(service_deadline_, detached_since_ + own);
  }
}

// Forgets who had what to send; a record's own state stays. OPENs not written stay in order.
void LinkBody::clear_lists() {
  outbox_.clear();
  for (SlotIndex slot = streams_.first(); slot != kNoSlot; slot = streams_.next(slot)) {
    StreamRecord& record = streams_[slot];
    record.opened_unsent = false;
    if (!client()) record.origin = 0;
    if (client() && record.open_state == OpenState::queued) outbox_.add_open(slot);
  }
  refusals_.clear();
  order_.forget_follower();
  pong_due_.reset();
  ping_due_ = false;
}

}  // namespace holdfast
