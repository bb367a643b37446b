#include "client-agent/client_link.h"

namespace holdfast {
namespace {

// After an answer that sent a link away (from a server that drains, or that has not got it) it is
// dialled again so soon, and no later than that.
constexpr Duration kTryAgain = milliseconds(100);
constexpr Duration kMostTryAgain = seconds(2);

}  // namespace

// No name in a config has a #.
ClientLinkOptions ClientLinkOptions::beside(unsigned another) const {
  ClientLinkOptions options;
  static_cast<ClientLinkSettings&>(options) = *this;
  options.lane = another;
  if (another != 0) options.name += "#" + std::to_string(another + 1);
  options.link.slot += another;
  if (tls != nullptr) options.tls = tls->share();
  return options;
}

ClientLink::ClientLink(const ClientContext& context, ClientLinkOptions options, Owner& owner)
    : loop_(context.loop),
      owner_(owner),
      name_(options.name),
      group_(options.group),
      lane_(options.lane),
      lanes_(options.lanes),
      meter_(loop_.now()),
      tls_(std::move(options.tls)),
      names_home_(options.names_home),
      patience_(std::move(options.patience)),
      loops_(options.loops),
      recovered_(options.relic ? std::optional<Recovered>(Recovered{}) : std::nullopt),
      made_(make_link(context, options, recovered_)),
      link_(*made_) {
  // A reload had taken it away, but for its streams.
  if (options.relic && lane_ >= lanes_.most) state_ = State::retiring;
  driver_ = std::make_unique<LinkDriver>(loop_, link_, *this, context.observer, context.closing, "",
                                         name_);
  driver_->set_lane(lane_ >= lanes_.first);
  dials_ = std::make_unique<Dials>(
      loop_, context.resolver, dial_options(options), context.observer, context.closing,
      random_u64(), context.next_carrier,
      [this](std::unique_ptr<Carrier> carrier) { driver_->adopt(std::move(carrier)); },
      [this] { wants_pump(*driver_); });
  owner_.wake();
}

ClientLink::~ClientLink() = default;

std::unique_ptr<Link> ClientLink::make_link(const ClientContext& context,
                                            const ClientLinkOptions& options,
                                            std::optional<Recovered>& recovered) {
  if (!options.relic) {
    return std::make_unique<Link>(options.link, context.pool, random_link_id(), 0);
  }
  const LinkRelic& relic = *options.relic;
  return Link::recover(context.loop.now(), options.link, context.pool, *relic.state, *relic.link,
                       relic.relics->judge(), *recovered);
}

void ClientLink::go_on(Relics& relics, RecoveryTally& tally) {
  if (!recovered_) return;
  Recovered recovered = *std::exchange(recovered_, std::nullopt);
  tally.add(recovered);
  for (const RecoveredStream& each : recovered.streams) {
    driver_->go_on(each, relics.take_socket(each.descriptor), nullptr);
  }
  for (const Recovered::Lost& each : recovered.lost) driver_->tell_lost(each);
  wants_pump(*driver_);
}

DialOptions ClientLink::dial_options(ClientLinkOptions& options) const {
  DialOptions dial;
  dial.servers = std::move(options.servers);
  dial.mark = options.mark;
  dial.congestion_control = options.congestion_control;
  dial.mptcp = options.mptcp;
  dial.begin = options.begin;
  dial.transport = dial_factory(tls_.get());
  dial.handshake_timeout = options.link.handshake_timeout;
  return dial;
}

void ClientLink::wants_pump(LinkDriver&) {
  wake_ = true;
  owner_.wake();
}

Dialer::Need ClientLink::need() const {
  if (state_ == State::leaving || held_ || !link_.wants_carrier()) return Dialer::Need::none;
  if (!may_dial_ && !link_.live()) return Dialer::Need::none;
  return link_.urgent() ? Dialer::Need::urgent : Dialer::Need::relaxed;
}

// Of a link that a server may still have. One that retires is nobody else's any more.
DialHome ClientLink::home() const {
  DialHome home;
  if (link_.instance() == 0) return home;
  if (names_home_) home.name = link_.home().name;
  if (auto address = parse_home_address(link_.home().address)) {
    home.address = HostPort{address->host, address->port};
  }
  home.only = state_ == State::retiring;
  return home;
}

bool ClientLink::pump() {
  if (!wake_) return false;
  wake_ = false;
  bool more = driver_->pump();
  if (link_.ended() && driver_->settled() && state_ != State::leaving) renew();
  if (link_.live()) {
    if (!link_.wants_carrier()) dials_->start_over();
    in_vain_ = 0;
    if (link_.draining() && state_ == State::running) owner_.lane_parts({name_, Parting::drains});
    // What is known of its path decides about the next connection.
    if (!std::exchange(was_live_, true) && lanes_.most > 1) {
      look();
      owner_.lanes_seen();
    }
  }
  dials_->set_home(home());
  dials_->update(need());
  if (state_ == State::retiring && link_.stream_count() == 0) leave(Cause::goodbye);
  wake_ = wake_ || more;
  return wake_;
}

bool ClientLink::waits_long() const {
  return state_ != State::leaving && !held_ && !link_.live() &&
         link_.stream_count() >= tuning::kLongTable;
}

bool ClientLink::give_turn(bool may_dial) {
  if (may_dial == may_dial_) return false;
  may_dial_ = may_dial;
  wake_ = true;
  return true;
}

void ClientLink::renew() {
  // Who said that it is over is there to begin anew with.
  dials_->start_over();
  link_.renew(loop_.now(), random_link_id());
  owner_.room();
  wake_ = true;
}

void ClientLink::network_changed() {
  link_.doubt(loop_.now());
  dials_->network_changed();
  wants_pump(*driver_);
}

void ClientLink::services_down(const std::vector<std::uint16_t>& services) {
  std::set<std::string, std::less<>> down;
  for (std::uint16_t service : services) down.insert(link_.options().services[service].name);
  if (down == down_) return;
  for (const std::string& name : down) {
    if (!is_down(name)) driver_->observer().target_checked(name, Cause::other);
  }
  for (const std::string& name : down_) {
    if (down.find(name) == down.end()) driver_->observer().target_checked(name, Cause::none);
  }
  down_ = std::move(down);
  owner_.services_changed();
}

// Only what is surely of a loop is reset here: the stream whose mark tells of it, and later ones.
// The others end by that, as each feeds the next one, and the newest is refused at the listener.
void ClientLink::stream_connected(StreamHandle stream, std::uint64_t mark) {
  if (loops_ == nullptr) return;
  Time now = loop_.now();
  auto summary = link_.find_stream(now, stream.id, nullptr);
  if (!summary) return;
  // The OPEN took its time to the server, and the connection its way to us: about half of what it
  // took until now, and rarely less than an eighth.
  Time not_before = now - summary->age + summary->age / 8;
  const std::string& service = link_.options().services[summary->service].name;
  LoopWatch::Answer answer = loops_->connected(service, mark, not_before, now);
  if (answer.found) driver_->observer().loop_found(*answer.found, LoopWatch::kRefused);
  if (!answer.loop) return;
  link_.reset(now, stream, Cause::loop);
  wants_pump(*driver_);
}

Patience ClientLink::patience(std::string_view service) const {
  auto known = patience_.find(service);
  return known == patience_.end() ? Patience{} : known->second;
}

void ClientLink::look() {
  meter_.sample(loop_.now(), link_, driver_->carrier_path());
}

LaneOver ClientLink::last_word() const {
  Time free_at = link_.forgotten() ? loop_.now() : loop_.now() + link_.grace();
  return {group_, lane_, free_at, !was_live_ && lane_ >= lanes_.first};
}

void ClientLink::link_refused(Cause cause, Duration retry_after) {
  in_vain_ += 1;
  if (cause == Cause::other_server) return other_server();
  // The server may allow fewer lanes: the others carry.
  if (lane_ >= lanes_.first && link_.stream_count() == 0) return leave(Cause::goodbye);
  if (cause == Cause::draining) {
    // Another one, of the config or behind the balancer, is soon there.
    dials_->pass_over();
    return try_again_after(std::min(retry_after, kTryAgain));
  }
  if (retry_after > Duration{}) dials_->hold_off(loop_.now() + retry_after);
}

void ClientLink::other_server() {
  // A balancer that knows no names may lead elsewhere while the home is on its way by its address.
  bool sure = link_.home().address.empty() || in_vain_ > 1;
  if (state_ == State::running && sure) owner_.lane_parts({name_, Parting::other_server});
  if (state_ == State::retiring && link_.home() != Home{}) try_again_after(kTryAgain);
}

// The longer, the more answers came in vain; and not at the same moment as others.
void ClientLink::try_again_after(Duration least) {
  Duration wait = std::min<Duration>(least * (1 << std::min(in_vain_ - 1, 8U)), kMostTryAgain);
  auto jitter =
      static_cast<std::int64_t>(random_u64() % static_cast<std::uint64_t>(wait.count() / 4 + 1));
  dials_->again_at(loop_.now() + wait - Duration(jitter));
}

void ClientLink::open(ClientHandover& comer) {
  if (link_.draining()) return;  // the link will end soon; the next one takes it
  auto index = link_.find_service(comer.service);
  if (!index) return comer.socket.reset();  // a reload took it away while this one waited
  OpenRequest request;
  request.service = *index;
  request.source = comer.source;
  request.destination = comer.destination;
  request.socket = {comer.socket.get(), comer.read_before, 0};
  auto stream = link_.open(loop_.now(), request);
  if (!stream) return;
  meter_.opened(loop_.now());
  driver_->attach(*stream, {std::move(comer.socket), comer.is_unix, comer.read_before, 0});
}

bool ClientLink::kill(const ConnectionName& connection) {
  if (connection.link != link_.id().short_name()) return false;
  StreamHandle stream;
  if (!link_.find_stream(loop_.now(), connection.stream, &stream)) return false;
  link_.reset(loop_.now(), stream, Cause::admin_kill);
  wants_pump(*driver_);
  return true;
}

void ClientLink::reconfigure(ClientLinkOptions options, bool revoke) {
  HOLDFAST_CHECK(state_ != State::leaving);
  state_ = State::running;
  lanes_ = options.lanes;
  names_home_ = options.names_home;
  driver_->set_lane(lane_ >= lanes_.first);
  link_.reconfigure(options.link);
  patience_ = std::move(options.patience);
  driver_->look_now();
  if (revoke) link_.reset_unoffered(loop_.now(), Cause::revoked);
  std::unique_ptr<TlsContext> old = std::exchange(tls_, std::move(options.tls));
  dials_->reconfigure(dial_options(options));
  wants_pump(*driver_);
}

void ClientLink::retire() {
  if (state_ != State::running) return;
  state_ = State::retiring;
  wants_pump(*driver_);
}

void ClientLink::retire_for(ClientLink& successor) {
  driver_->hand_over(*successor.driver_);
  retire();
  successor.wants_pump(*successor.driver_);
}

void ClientLink::reconnect() {
  link_.reconnect(loop_.now(), Cause::reconnect);
  wants_pump(*driver_);
}

void ClientLink::hold_down() {
  held_ = true;
  link_.reconnect(loop_.now(), Cause::held_down);
  wants_pump(*driver_);
}

void ClientLink::let_up() {
  held_ = false;
  dials_->start_over();
  wants_pump(*driver_);
}

void ClientLink::leave(Cause cause) {
  if (state_ == State::leaving) return;
  state_ = State::leaving;
  driver_->set_last();
  driver_->read_last();
  link_.goodbye(loop_.now(), cause);
  wants_pump(*driver_);
}

}  // namespace holdfast
