#include "client-agent/dial.h"

#include <algorithm>

#include "common/core/tuning.h"

namespace holdfast {
namespace {

// A round trip of 5 s, and a SYN that is sent again twice (after 1 s, after 3 s): together with the
// dials that follow there is one on its way at least every 800 ms.
constexpr Duration kConnectTimeout = seconds(6);
// A handshake is waited for so long without racing it: twice what the connect took, at least this.
constexpr Duration kLeastHope = milliseconds(400);
constexpr std::size_t kMostHandshakes = 3;
// The peer's kernel has the handshake's first message and says nothing for so long, and again with
// the next dial: then its answer, with a certificate, may be too large for the path.
constexpr Duration kUnanswered = seconds(1);
constexpr int kMostUnanswered = 2;
// Of so many addresses is remembered how large segments may be.
constexpr std::size_t kMostLimits = 64;

void tune_nothing(int, const SocketAddress&) {}  // Carrier does

}  // namespace

Dials::Dials(Loop& loop, Resolver& resolver, DialOptions options, Observer& observer,
             ClosingCarriers& closing, std::uint64_t seed, std::uint64_t& next_carrier,
             std::function<void(std::unique_ptr<Carrier>)> stands, std::function<void()> wake)
    : loop_(loop),
      resolver_(resolver),
      options_(std::move(options)),
      observer_(observer),
      closing_(closing),
      next_carrier_(next_carrier),
      stands_(std::move(stands)),
      wake_(std::move(wake)),
      dialer_(seed),
      timer_(loop.timers(), [this] { wake_(); }) {
  dialer_.begin_at(options_.begin);
  look_up();
}

void Dials::look_up() {
  if (book_ != nullptr) earlier_versions_ += book_->version();
  book_ = book_of(options_.servers);
}

std::unique_ptr<AddressBook> Dials::book_of(std::vector<HostPort> hosts) {
  return std::make_unique<AddressBook>(
      loop_, resolver_, std::move(hosts), [this] { wake_(); },
      [this](const HostPort& server, const std::string& why) {
        last_error_ = server.written_at.empty() ? why : why + " (" + server.written_at + ")";
        observer_.dial_failed(server.host + ":" + std::to_string(server.port), last_error_);
      });
}

void Dials::reconfigure(DialOptions options) {
  drop_all();
  bool moved = options.servers != options_.servers;
  options_ = std::move(options);
  dialer_.begin_at(options_.begin);
  if (moved) look_up();
  dialer_.hold_off(Time{});
  dialer_.start_over();
  dialer_.set_need(loop_.now(), Dialer::Need::none);
  wake_();
}

void Dials::start_over() {
  dialer_.start_over();
  routes_.start_over();
}

void Dials::set_home(DialHome home) {
  if (home == routes_.home()) return;
  bool moved = home.address != routes_.home().address;
  routes_.set_home(std::move(home));
  if (!moved) return;
  if (home_book_ != nullptr) earlier_versions_ += home_book_->version();
  home_book_ = routes_.home().address ? book_of({*routes_.home().address}) : nullptr;
}

// An address keeps its place where its routes stay the same. Else the best is the first one, or the
// one that stood last.
void Dials::refresh_routes(Time now) {
  static const std::vector<SocketAddress> kNone;
  const auto& own = home_book_ != nullptr ? home_book_->addresses() : kNone;
  std::vector<DialRoute> routes = routes_.at(now, book_->addresses(), own);
  if (routes != now_) {
    now_ = std::move(routes);
    auto good = std::find_if(now_.begin(), now_.end(),
                             [&](const DialRoute& each) { return each.address == good_; });
    bool known = good != now_.end() && own.empty();
    if (known) dialer_.prefer(static_cast<std::size_t>(good - now_.begin()));
    if (!known) dialer_.prefer(own.empty() ? std::nullopt : std::optional<std::size_t>(0));
  }
  dialer_.set_addresses(now, now_.size());
}

void Dials::update(Dialer::Need need) {
  std::erase_if(dials_, [](const auto& dial) { return dial->over; });
  Time now = loop_.now();
  bool arose = dialer_.need() == Dialer::Need::none || need > dialer_.need();
  dialer_.set_need(now, need);
  if (need == Dialer::Need::none) {
    drop_all();
    return timer_.cancel();
  }
  AddressBook::Wish wish{.urgent = need == Dialer::Need::urgent, .anew = arose};
  book_->refresh(wish);
  if (home_book_ != nullptr) home_book_->refresh(wish);
  routes_.begin(now);
  look_at_handshakes();
  refresh_routes(now);
  // One that moves is not raced.
  Time hopeful = hopeful_until();
  while (now >= hopeful) {
    auto index = dialer_.poll(now);
    if (!index) break;
    begin(*index);
  }
  Time next = std::min(std::max(dialer_.next_timeout(), hopeful), book_->next_timeout());
  if (home_book_ != nullptr) next = std::min(next, home_book_->next_timeout());
  timer_.arm(std::min(next, routes_.next_timeout(now)));
}

// While a handshake that has just begun, or from which something was heard, may yet be answered.
Time Dials::hopeful_until(const Dial& dial) {
  if (dial.over || !dial.carrier) return Time{};
  Time moved = dial.began;
  std::optional<PathReport> path = dial.carrier->path();
  if (path && path->received != 0) moved = std::max(moved, dial.heard);
  return moved + std::max<Duration>(2 * dial.connect_took, kLeastHope);
}

Time Dials::hopeful_until() const {
  Time latest{};
  for (const auto& dial : dials_) latest = std::max(latest, hopeful_until(*dial));
  return latest;
}

void Dials::look_at_handshakes() {
  Time now = loop_.now();
  for (auto& dial : dials_) {
    if (dial->over || !dial->carrier) continue;
    std::optional<PathReport> path = dial->carrier->path();
    if (!path) continue;
    if (path->received != 0) dial->heard = now - path->received_ago;
    if (path->received != 0 || dial->unanswered) continue;
    bool silent = path->acked != 0 && path->queued == 0 &&
                  now >= dial->began + kUnanswered + 2 * dial->connect_took;
    // A hello with a share of ML-KEM is larger than a packet.
    bool stuck = path->queued > tuning::kSmallSegment && path->timeouts != 0;
    if (!silent && !stuck) continue;
    dial->unanswered = true;
    if (silent) routes_.failed(dial->route, Dialer::Reached::somebody);
    Limit& limit = limit_of(dial->address);
    limit.unanswered += 1;
    if (limit.unanswered < kMostUnanswered) continue;
    limit.unanswered = 0;  // where that was for nothing, it may help later
    barren(dial->address);
    network_changed();  // a limit is for a dial that comes soon
  }
}

// A handshake is to begin: the oldest of which nothing is to be hoped makes room for it. False:
// there is none, and this one would be one too many.
bool Dials::make_room() {
  Dial* oldest = nullptr;
  std::size_t handshakes = 0;
  for (auto& dial : dials_) {
    if (dial->over || !dial->carrier) continue;
    handshakes += 1;
    if (oldest == nullptr && hopeful_until(*dial) <= loop_.now()) oldest = dial.get();
  }
  if (handshakes < kMostHandshakes) return true;
  if (oldest == nullptr) return false;
  failed(*oldest, "no answer to the handshake");
  return true;
}

Dials::Limit& Dials::limit_of(const SocketAddress& address) {
  for (Limit& each : limits_) {
    if (each.address == address) return each;
  }
  if (limits_.size() >= kMostLimits) limits_.erase(limits_.begin());
  return limits_.emplace_back(Limit{address, {}, 0});
}

void Dials::barren(const SocketAddress& address) {
  limit_of(address).segment.barren(loop_.now());
}

void Dials::network_changed() {
  if (dialer_.need() != Dialer::Need::relaxed) return;  // urgent dials come soon by themselves
  dialer_.start_over();
  dialer_.set_need(loop_.now(), Dialer::Need::none);  // and look names up anew
  wake_();
}

void Dials::begin(std::size_t index) {
  count_ += 1;
  Dial& dial = *dials_.emplace_back(std::make_unique<Dial>());
  dial.route = now_[index];
  dial.address = dial.route.address;
  dial.connector = std::make_unique<Connector>(
      loop_, tune_nothing, nullptr,
      [this, &dial](Connector::Outcome outcome) { connected(dial, std::move(outcome)); });
  dial.began = loop_.now();
  dial.connector->set_prepare([this, address = dial.address](int descriptor, int) {
    std::uint32_t mark = options_.mark;
    if (mark != 0 && setsockopt(descriptor, SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0) {
      return errno;
    }
    if (int bytes = limit_of(address).segment.for_dial(loop_.now()); bytes != 0) {
      set_max_segment(descriptor, bytes);
    }
    const std::string& congestion = options_.congestion_control;
    return congestion.empty() ? 0 : set_congestion_control(descriptor, congestion);
  });
  dial.connector->set_multipath(options_.mptcp);
  dial.connector->start({dial.address}, loop_.now() + kConnectTimeout);
}

void Dials::connected(Dial& dial, Connector::Outcome outcome) {
  if (!outcome.descriptor.valid()) return failed(dial, error_text(outcome.error));
  if (!make_room()) {
    drop(dial);
    return wake_();
  }
  dialer_.established();
  dial.connect_took = loop_.now() - dial.began;
  dial.began = loop_.now();
  next_carrier_ += 1;
  dial.carrier = std::make_unique<Carrier>(
      loop_, CarrierId{next_carrier_}, std::move(outcome.descriptor),
      [this, &dial](int descriptor) { return options_.transport(descriptor, dial.route.sni); },
      *this);
  dial.deadline = std::make_unique<Timer>(loop_.timers(), [this, &dial] {
    look_at_handshakes();
    failed(dial, "handshake timeout");
  });
  dial.deadline->arm(loop_.now() + options_.handshake_timeout);
  dial.carrier->start();
}

std::vector<Endpoint> Dials::addresses() const {
  std::vector<Endpoint> all;
  for (const SocketAddress& each : book_->addresses()) all.push_back(normalized(each.endpoint()));
  if (home_book_ == nullptr) return all;
  for (const SocketAddress& each : home_book_->addresses()) {
    all.push_back(normalized(each.endpoint()));
  }
  return all;
}

std::uint64_t Dials::addresses_version() const {
  std::uint64_t home = home_book_ != nullptr ? home_book_->version() : 0;
  return earlier_versions_ + book_->version() + home;
}

Dials::Dial* Dials::dial_of(const Carrier& carrier) {
  for (auto& dial : dials_) {
    if (dial->carrier.get() == &carrier) return dial.get();
  }
  return nullptr;
}

void Dials::carrier_standing(Carrier& carrier) {
  Dial* dial = dial_of(carrier);
  HOLDFAST_CHECK(dial != nullptr);
  dial->over = true;
  dial->deadline->cancel();
  last_error_.clear();
  Limit& limit = limit_of(dial->address);
  limit.unanswered = 0;
  limit.segment.stands();
  good_ = dial->address;
  // The routes may have changed meanwhile: the place that this one has now, if any.
  auto found = std::find(now_.begin(), now_.end(), dial->route);
  if (found == now_.end()) {
    dialer_.failed(loop_.now(), Dialer::Reached::somebody);
  } else {
    dialer_.connected(static_cast<std::size_t>(found - now_.begin()));
  }
  wake_();
  stands_(std::move(dial->carrier));
}

void Dials::carrier_lost(Carrier& carrier, Cause cause, const std::string& reason) {
  Dial* dial = dial_of(carrier);
  if (dial == nullptr) return;
  bool said_nothing = cause == Cause::carrier_eof || cause == Cause::carrier_reset;
  failed(*dial, said_nothing ? reason + " (another program, or a link without TLS?)" : reason);
}

void Dials::failed(Dial& dial, const std::string& reason) {
  last_error_ = dial.address.to_string() + ": " + reason;
  observer_.dial_failed(dial.address.to_string(), reason);
  routes_.failed(dial.route, dial.reached());
  drop(dial);
  wake_();
}

// Its memory goes in update(): this may be one of its own callbacks.
void Dials::drop(Dial& dial) {
  if (dial.over) return;
  dial.over = true;
  dialer_.failed(loop_.now(), dial.reached());
  if (dial.deadline) dial.deadline->cancel();
  if (!dial.carrier) return;
  dial.carrier->close();
  closing_.adopt(std::move(dial.carrier));
}

void Dials::drop_all() {
  for (auto& dial : dials_) drop(*dial);
  dials_.clear();
}

}  // namespace holdfast
