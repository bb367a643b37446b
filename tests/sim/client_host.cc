#include <algorithm>

#include "tests/sim/hosts.h"
#include "tests/sim/world.h"

namespace holdfast::sim {
namespace {

constexpr int kMaxSpins = 1000;

LinkId draw_link_id(Random& random) {
  LinkId id;
  for (auto& byte : id.bytes) byte = static_cast<std::uint8_t>(random.next());
  return id;
}

}  // namespace

ClientHost::~ClientHost() {
  if (driver_) driver_->abandon();
}

bool ClientHost::stalled() const {
  return world_.now() < stalled_until_;
}

void ClientHost::start() {
  const Options& options = world_.options();
  pool_ = std::make_unique<MemoryPool>(options.memory, options.max_streams);
  LinkOptions link;
  link.role = LinkOptions::Role::client;
  link.name = name_;
  link.services = world_.services();
  link.heartbeat = options.heartbeat;
  link.dead_after = options.dead_after;
  link.handshake_timeout = options.handshake_timeout;
  link.grace = options.grace;
  link.open_timeout = options.open_timeout;
  link.max_window = options.max_window;
  link.max_streams = options.max_streams;
  link.start_id = world_.random().next();
  link.trace = options.trace;
  link_ = std::make_unique<Link>(link, *pool_, draw_link_id(world_.random()), 0);
  driver_ = std::make_unique<LinkDriver>(world_, *this, 0, index_, *link_);
  dialer_ = std::make_unique<Dialer>(world_.random().next());
  dialer_->set_addresses(world_.now(), 1);
  leaving_ = exiting_ = ever_up_ = false;
  stalled_until_ = {};
  world_.new_link(index_);
  turn();
}

void ClientHost::kill() {
  if (!running()) return;
  world_.count(link_->counters(), 0);
  driver_->write_trace();
  driver_->abandon();
  driver_.reset();
  link_.reset();
  require(pool_->arena.in_use() == 0, "a client that died still holds blocks");
  pool_.reset();
  dialer_.reset();
  dials_.clear();
  armed_ = kNever;
  world_.close_all(index_, 0);
}

void ClientHost::goodbye() {
  if (!running() || leaving_) return;
  leaving_ = true;
  link_->goodbye(world_.now(), Cause::goodbye);
  turn();
}

void ClientHost::open(Conversation& conversation) {
  OpenRequest request;
  request.service = conversation.script.service;
  request.source = World::endpoint_of(conversation);
  auto opened = link_->open(world_.now(), request);
  conversation.opened_at = world_.now();
  if (!opened) {
    world_.open_failed(conversation, leaving_);
    return;
  }
  conversation.opened = true;
  driver_->adopt(conversation, *opened);
  turn();
}

void ClientHost::on_carrier(CarrierId id) {
  if (!running()) return;
  Carrier* carrier = world_.carrier(id);
  if (carrier == nullptr || !carrier->client_open) return;
  if (world_.finishing(*carrier, 0)) {
    world_.finish_more(*carrier, 0);
    return turn();
  }
  bool dialled = std::any_of(dials_.begin(), dials_.end(),
                             [&](const Dial& dial) { return dial.carrier == id; });
  // Any other carrier that is not the link's is closed already; nothing reads it.
  dialled ? finish_dials() : static_cast<void>(driver_->read_carrier(*carrier));
  if (!running()) return;
  turn();
}

void ClientHost::on_dial(std::uint64_t) {
  if (!running() || exiting_) return;
  finish_dials();
  turn();
}

void ClientHost::finish_dials() {
  for (std::size_t i = 0; i < dials_.size();) {
    Dial dial = dials_[i];
    bool due = world_.now() >= dial.due;
    if (dial.carrier == CarrierId{} && due) {
      if (dial.connects) dial.carrier = world_.connect(index_);
      due = dial.carrier == CarrierId{};
      dial.due = world_.now() + world_.options().handshake_timeout;
    }
    CarrierId carrier = dial.carrier;
    Handshake handshake = Handshake::running;
    if (due) {
      handshake = Handshake::failed;
    } else if (carrier != CarrierId{}) {
      handshake = world_.shake_hands(*world_.carrier(carrier), 0);
    }
    if (handshake == Handshake::running) {
      if (dials_[i].carrier != carrier) {
        dials_[i] = dial;
        world_.schedule(dial.due, EventKind::dial, index_, dial.number);
      }
      ++i;
      continue;
    }
    dials_.erase(dials_.begin() + static_cast<std::ptrdiff_t>(i));
    if (handshake == Handshake::failed) {
      if (carrier != CarrierId{}) world_.close(carrier, 0, Pipe::End::reset);
      dialer_->failed(world_.now());
      continue;
    }
    dialer_->connected(dial.address);
    Duration round_trip = world_.random().one_in(3) ? Duration{} : world_.options().latency * 2;
    link_->carrier_up(world_.now(), carrier, round_trip);
    driver_->pump();
    if (!running()) return;
  }
}

// Carriers whose handshake runs, but that the link does not want any more.
void ClientHost::drop_handshakes() {
  for (const Dial& dial : dials_) {
    if (dial.carrier == CarrierId{}) continue;
    world_.close(dial.carrier, 0, Pipe::End::reset);
    dialer_->failed(world_.now());
  }
  std::erase_if(dials_, [](const Dial& dial) { return dial.carrier != CarrierId{}; });
}

void ClientHost::on_timer() {
  armed_ = kNever;
  if (!running()) return;
  if (spun_at_ == world_.now()) {
    require(++spins_ < kMaxSpins, "a client's timer spins");
  } else {
    spins_ = 0;
    spun_at_ = world_.now();
  }
  driver_->timeout();
  turn();
}

void ClientHost::on_socket(Conversation& conversation) {
  if (!running() || conversation.sides[0].driver != driver_.get()) return;
  driver_->service(conversation);
  turn();
}

// As in a loop that stood still: timers run before anything is polled.
void ClientHost::on_wake() {
  if (!running() || stalled()) return;
  on_timer();
  if (!running()) return;
  finish_dials();
  for (CarrierId id : world_.carriers_of(index_)) on_carrier(id);
  for (auto& conversation : world_.conversations()) {
    if (conversation->client == index_) on_socket(*conversation);
  }
}

void ClientHost::reconnect() {
  if (!running() || exiting_) return;
  link_->reconnect(world_.now(), Cause::reconnect);
  turn();
}

void ClientHost::doubt() {
  if (!running() || exiting_) return;
  link_->doubt(world_.now());
  turn();
}

void ClientHost::kill_stream(Conversation& conversation) {
  Side& side = conversation.sides[0];
  if (!running() || side.driver != driver_.get()) return;
  conversation.excuses.agent_killed_stream = true;
  link_->reset(world_.now(), side.handle, Cause::admin_kill);
  turn();
}

void ClientHost::refused(LinkDriver&, const effect::Refused& refused) {
  world_.totals().refusals += 1;
  dialer_->hold_off(world_.now() + refused.retry_after);
}

void ClientHost::link_ended(LinkDriver& driver, Cause cause) {
  links_ended_ += 1;
  world_.link_ended(driver, 0, cause);
  if (leaving_) {
    exiting_ = true;
    return;
  }
  driver_->write_trace();
  driver_->forget_outages();
  link_->renew(world_.now(), draw_link_id(world_.random()));
}

void ClientHost::turn() {
  for (int i = 0; !exiting_ && i < 2; ++i) driver_->pump();
  if (exiting_) {
    drop_handshakes();
    dials_.clear();
    if (world_.client_finishing(index_)) return;  // the last that it said is on its way
    kill();
    world_.client_exited(index_);
    return;
  }
  driver_->write_trace();
  ever_up_ = ever_up_ || link_->live();
  dial();
  arm();
  world_.check(*this);
}

void ClientHost::dial() {
  Dialer::Need need = !link_->wants_carrier() ? Dialer::Need::none
                      : link_->urgent()       ? Dialer::Need::urgent
                                              : Dialer::Need::relaxed;
  if (link_->live()) dialer_->start_over();
  dialer_->set_need(world_.now(), need);
  if (need == Dialer::Need::none) drop_handshakes();
  while (auto address = dialer_->poll(world_.now())) {
    World::DialOutcome outcome = world_.dial(index_);
    Dial dial{world_.next_number(), *address, world_.now() + outcome.after, outcome.connects};
    dials_.push_back(dial);
    require(dials_.size() <= static_cast<std::size_t>(tuning::kMaxDialsInFlight),
            "more dials in flight than allowed");
    world_.schedule(dial.due, EventKind::dial, index_, dial.number);
  }
}

void ClientHost::arm() {
  Time next = std::min(link_->next_timeout(), dialer_->next_timeout());
  if (next == kNever) return;
  next = std::max(next, world_.now());
  if (armed_ <= next) return;
  armed_ = next;
  world_.schedule(next, EventKind::client_timer, index_, 0);
}

}  // namespace holdfast::sim
