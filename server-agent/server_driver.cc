#include "server-agent/server_driver.h"

#include <algorithm>
#include <ctime>

#include "common/base/overloaded.h"
#include "common/io/secure_random.h"
#include "common/tunnel/refusal_text.h"
#include "common/tunnel/share.h"

namespace holdfast {
namespace {

// SIGTERM promises an end within 2 s; the rest is for closing.
constexpr Duration kLeavePatience = milliseconds(1800);
constexpr Duration kAuthRetry = seconds(5);

// Strangers must not take the descriptors that links and backends need.
SeatLimits seat_limits(std::size_t descriptors) {
  SeatLimits limits;
  limits.unproven = std::min(limits.unproven, descriptors / 8);
  limits.per_source = std::min(limits.per_source, std::max<std::size_t>(limits.unproven / 2, 1));
  return limits;
}

// Of the reserve's descriptors strangers have a quarter at most: the rest is for known clients.
SeatLimits scarce_seat_limits(std::size_t descriptors) {
  SeatLimits limits;
  limits.unproven = std::max<std::size_t>(DescriptorBudget::reserve_of(descriptors) / 4, 2);
  limits.per_source = limits.unproven / 2;
  return limits;
}

}  // namespace

ServerDriver::ServerDriver(Loop& loop, ServerOptions options, Observer& observer,
                           ServerCommons* commons, std::size_t index)
    : loop_(loop),
      index_(index),
      options_(std::move(options)),
      observer_(observer),
      own_commons_(commons == nullptr
                       ? std::make_unique<ServerCommons>(options_.threads, options_.connections)
                       : nullptr),
      commons_(commons == nullptr ? *own_commons_ : *commons),
      budget_(options_.descriptors, &commons_.awaited()),
      link_budget_(DescriptorBudget::everything()),
      pool_(options_.memory / options_.threads,
            part_of(options_.connections, options_.threads, index), &commons_.streams()),
      trimmer_(loop, pool_),
      resolver_(loop),
      closing_([this] { wake_ = true; }),
      registry_(options_.registry, pool_, random_u64(), &commons_),
      newcomers_(loop, *this, observer, closing_, options_.registry.link.handshake_timeout,
                 options_.registry.link.max_streams, seat_limits(options_.descriptors),
                 scarce_seat_limits(options_.descriptors)),
      transport_(transport_factory(options_.tls.get())),
      listeners_(loop, resolver_, link_budget_, *this, observer, nullptr,
                 [this] {
                   if (index_ == 0) commons_.set_listening(listeners_.addresses());
                 }),
      registry_timer_(loop.timers(), [this] { wake_ = true; }),
      deadline_(loop.timers(), [this] { wake_ = true; }),
      news_(loop, [this] { wake_ = true; }),
      gone_(loop, [this](const std::pair<std::string, std::uint64_t>& process) {
        registry_.process_gone(loop_.now(), process.first, process.second);
        wake_ = true;
      }) {
  remember(options_.names);
  loop.poller().on_refusal([this](int error) {
    observer_.warning("the host does not watch a descriptor (epoll: " + error_text(error) +
                      "): it is asked every 10 ms; see fs.epoll.max_user_watches");
  });
  commons_.hear_of_gone([this](const std::string& client, std::uint64_t start_id) {
    gone_.put({client, start_id});
  });
  watch_targets();
}

ServerDriver::~ServerDriver() {
  // They tell each other things: none goes while another one turns.
  for (auto& worker : workers_) worker->thread.stop();
}

void ServerDriver::remember(const std::map<std::string, FoundAddresses>& names) {
  for (const auto& [host, found] : names) resolver_.remember(host, found);
}

Status ServerDriver::listen_on(const ServerOptions& options, bool new_ones_required) {
  std::vector<ListenerSet::Wanted> wanted;
  for (const NetListenAddress& address : options.listen) {
    bool required = new_ones_required || std::holds_alternative<PassedSocket>(address);
    wanted.push_back({address, 0, false, required, options.freebind, options.mptcp});
  }
  return listeners_.set(wanted);
}

// --- Reload ---------------------------------------------------------------------------------

Status ServerDriver::reconfigure(ServerOptions options, bool revoke_gone) {
  // What may fail comes first.
  remember(options.names);
  if (state_ == State::running) {
    if (Status bound = listen_on(options, true); !bound) return bound;
  }
  for (std::size_t each = 0; each < workers_.size(); ++each) {
    static_cast<void>(workers_[each]->driver.reconfigure(worker_options(options), revoke_gone));
  }
  options.registry.server_name = options_.registry.server_name;
  options.memory = options_.memory;
  options.connections = options_.connections;
  options.threads = options_.threads;
  options.descriptors = options_.descriptors;
  ServerOptions before = std::exchange(options_, std::move(options));
  transport_ = transport_factory(options_.tls.get());
  newcomers_.set_handshake_timeout(options_.registry.link.handshake_timeout);
  newcomers_.expect(options_.registry.link.max_streams);
  registry_.reconfigure(options_.registry, [this](const std::string& client) {
    auto known = options_.clients.find(client);
    return known == options_.clients.end() ? nullptr : &known->second.policy;
  });
  watch_targets();
  watched_ = true;
  for (auto& [id, driver] : drivers_) driver->look_now();
  if (revoke_gone) revoke(before.clients);
  wake_ = true;
  room_ = true;
  return Ok{};
}

void ServerDriver::revoke(const std::map<std::string, ServerClient>& before) {
  for (auto& [id, driver] : drivers_) {
    Link& link = driver->link();
    std::string client(driver->peer());
    auto now_known = options_.clients.find(client);
    auto was_known = before.find(client);
    if (now_known == options_.clients.end()) {
      // A goodbye tells the client why.
      link.goodbye(loop_.now(), Cause::revoked);
    } else {
      bool same_key =
          was_known != before.end() && was_known->second.key_id == now_known->second.key_id;
      link.reset_unoffered(loop_.now(), Cause::revoked);
      revoke_destinations(link, now_known->second.grants);
      if (!same_key) link.reconnect(loop_.now(), Cause::revoked);
    }
    driver->touch();
  }
}

// Streams that went where the client may not go any more.
void ServerDriver::revoke_destinations(Link& link, const StreamGrants& grants) {
  std::vector<StreamHandle> gone;
  link.for_each_stream(loop_.now(), [&](StreamHandle stream, const StreamSummary& summary) {
    if (link.options().services[summary.service].name != kByDestination) return;
    if (check_destination(grants, normalized(summary.destination)) != Cause::none) {
      gone.push_back(stream);
    }
  });
  for (StreamHandle stream : gone) link.reset(loop_.now(), stream, Cause::revoked);
}

// --- Newcomers ------------------------------------------------------------------------------

void ServerDriver::accepted(Listener&, Descriptor& socket, const SocketAddress&) {
  next_carrier_ += 1;
  // The config's check has tried it; a carrier without it is better than none.
  if (!options_.congestion_control.empty()) {
    set_congestion_control(socket.get(), options_.congestion_control);
  }
  bool scarce = budget_.scarce(socket.get());
  newcomers_.add(CarrierId{next_carrier_}, std::move(socket), transport_, scarce);
  wake_ = true;
}

void ServerDriver::hello(const Carrier& carrier, HelloRequest request) {
  wake_ = true;
  std::optional<std::string> identity = carrier.identity();
  if (options_.tls == nullptr) identity = request.hello.name;
  if (!identity) return refuse_stranger(carrier.id(), carrier.transport_error());
  auto known = options_.clients.find(*identity);
  if (known == options_.clients.end()) {
    return refuse_stranger(carrier.id(), "unknown client " + *identity);
  }
  if (known->second.expires_s && std::time(nullptr) >= *known->second.expires_s) {
    return refuse_stranger(carrier.id(), "the access of " + *identity + " has ended (expires)");
  }
  if (request.hello.name != *identity) {
    return refuse_stranger(carrier.id(), *identity + " says that it is " + request.hello.name);
  }
  ServerCommons::Place place = commons_.place(*identity, request.hello.slot);
  if (place.loop() != index_) {
    return hand_over(carrier.id(), std::move(request), *identity, std::move(place));
  }
  deciding_.emplace(carrier.id(), std::move(place));
  greeted(carrier.id(), *identity, std::move(request));
}

void ServerDriver::greeted(CarrierId carrier, const std::string& client, HelloRequest request) {
  auto policy = options_.clients.find(client);
  if (policy == options_.clients.end()) return refuse_stranger(carrier, "unknown client " + client);
  decide(carrier, registry_.hello(loop_.now(), carrier, policy->second.policy, std::move(request)));
}

void ServerDriver::refuse_stranger(CarrierId carrier, const std::string& reason) {
  newcomers_.refuse(carrier, Cause::auth, reason,
                    registry_.welcome_refused({Cause::auth, kAuthRetry}));
}

bool ServerDriver::link_known_at(std::string_view source) const {
  return commons_.known_at(source);
}

void ServerDriver::newcomer_gone(CarrierId carrier) {
  registry_.carrier_gone(carrier);
  deciding_.erase(carrier);
  wake_ = true;
}

void ServerDriver::decide(CarrierId carrier, LinkRegistry::Decision decision) {
  std::visit(overloaded{
                 [&](const LinkRegistry::Accepted& accepted) { accept_link(carrier, accepted); },
                 [&](const LinkRegistry::Refused& refused) {
                   newcomers_.refuse(carrier, refused.cause,
                                     refusal_text(refused.cause, deciding_.at(carrier).client()),
                                     registry_.welcome_refused(refused));
                 },
                 [&](const LinkRegistry::Unknown& unknown) {
                   bool known = unknown.why != Cause::none;
                   newcomers_.refuse(carrier, known ? unknown.why : Cause::server_restarted,
                                     known ? "its link has ended" : "unknown link",
                                     registry_.welcome_unknown(unknown));
                 },
                 [&](const LinkRegistry::Stale&) {
                   newcomers_.refuse(carrier, Cause::stale, "an older attempt", {});
                 },
                 [&](const LinkRegistry::Waiting&) {},
             },
             decision);
}

void ServerDriver::accept_link(CarrierId carrier, LinkRegistry::Accepted accepted) {
  std::unique_ptr<Carrier> taken = newcomers_.take(carrier);
  HOLDFAST_CHECK(taken != nullptr);
  const LinkId& id = accepted.link->id();
  if (accepted.created) {
    drivers_[id] = std::make_unique<LinkDriver>(loop_, *accepted.link, *this, observer_, closing_,
                                                registry_.client_of(id));
    drivers_[id]->set_lane(registry_.slot_of(id) % kLanesOfALink != 0);
    places_.emplace(id, commons_.place(registry_.client_of(id), registry_.slot_of(id)));
  }
  deciding_.erase(carrier);
  tell_down(*accepted.link);
  commons_.note_source(id, source_of(taken->peer()));
  drivers_.at(id)->adopt(std::move(taken));
}

// --- Streams --------------------------------------------------------------------------------

bool ServerDriver::kill(std::string_view connection) {
  auto id = parse_connection(connection);
  if (!id) return false;
  for (auto& [link, driver] : drivers_) {
    if (link.short_name() != id->link) continue;
    StreamHandle stream;
    if (!driver->link().find_stream(loop_.now(), id->stream, &stream)) continue;
    driver->link().reset(loop_.now(), stream, Cause::admin_kill);
    driver->touch();
    return true;
  }
  return std::any_of(workers_.begin(), workers_.end(),
                     [&](auto& worker) { return worker->driver.kill(connection); });
}

// --- A turn's end ---------------------------------------------------------------------------

void ServerDriver::wants_pump(LinkDriver& driver) {
  wake_ = true;
  dirty_.push_back(driver.link().id());
}

bool ServerDriver::end_of_turn() {
  if (!wake_) return false;
  wake_ = false;
  poll_registry();
  if (std::exchange(watched_, false)) {
    for (auto& [id, driver] : drivers_) {
      tell_down(driver->link());
      driver->touch();
    }
  }
  bool more = pump_links();
  remove_ended();
  if (std::exchange(room_, false)) {
    listeners_.resume();
  }
  if (state_ != State::running) advance_shutdown();
  closing_.sweep();
  wake_ = wake_ || more;
  return wake_;
}

void ServerDriver::poll_registry() {
  if (registry_.next_timeout() != kNever) {
    for (auto& [carrier, decision] : registry_.poll(loop_.now())) {
      decide(carrier, std::move(decision));
    }
  }
  for (const auto& [client, start_id] : registry_.take_gone()) {
    commons_.tell_gone(client, start_id);
  }
  for (Link* link : registry_.take_touched()) {
    auto driver = drivers_.find(link->id());
    if (driver != drivers_.end()) driver->second->touch();
  }
  registry_timer_.arm(registry_.next_timeout());
}

bool ServerDriver::pump_links() {
  pumped_.swap(dirty_);
  bool more = false;
  for (const LinkId& id : pumped_) {
    auto driver = drivers_.find(id);
    if (driver == drivers_.end()) continue;
    bool again = driver->second->pump();
    note_state(*driver->second);
    if (!again) continue;
    dirty_.push_back(id);
    more = true;
  }
  pumped_.clear();
  return more;
}

// Whatever changes a link's state pumps it, too.
void ServerDriver::note_state(LinkDriver& driver) {
  const Link& link = driver.link();
  if (link.ended()) ending_.insert(link.id());
  bool waits = !link.ended() && link.detached();
  if (waits && awaited_.insert(link.id()).second) commons_.awaited() += 1;
  if (waits || awaited_.empty()) return;
  if (awaited_.erase(link.id()) != 0) commons_.awaited() -= 1;
}

void ServerDriver::remove_ended() {
  for (auto it = ending_.begin(); it != ending_.end();) {
    auto driver = drivers_.find(*it);
    if (driver != drivers_.end() && !driver->second->settled()) {
      ++it;
      continue;
    }
    LinkId id = *it;
    it = ending_.erase(it);
    if (driver == drivers_.end()) continue;
    drivers_.erase(driver);
    commons_.forget(id);
    places_.erase(id);
    registry_.remove(id);
  }
}

void ServerDriver::shut_down() {
  if (state_ == State::leaving || state_ == State::stopped) return;
  state_ = State::leaving;
  listeners_.clear();
  newcomers_.clear();
  deadline_.arm(loop_.now() + kLeavePatience);
  for (auto& [id, driver] : drivers_) {
    driver->read_last();
    driver->link().goodbye(loop_.now(), Cause::shutdown);
    driver->touch();
  }
  Rest resting = rest();
  for (auto& worker : workers_) worker->driver.shut_down();
  wake_ = true;
}

void ServerDriver::drain() {
  if (state_ != State::running) return;
  for (auto& worker : workers_) worker->driver.drain();
  state_ = State::draining;
  registry_.drain(loop_.now());
  deadline_.arm(loop_.now() + options_.shutdown_timeout);
  wake_ = true;
}

void ServerDriver::advance_shutdown() {
  bool drained = pool_.streams() == 0 && workers_ended();
  if (state_ == State::draining && (drained || !deadline_.armed())) shut_down();
  if (state_ != State::leaving) return;
  closing_.sweep();
  bool over = drivers_.empty() && closing_.empty() && workers_ended();
  if (!over && deadline_.armed()) return;
  state_ = State::stopped;
  loop_.stop();
}

}  // namespace holdfast
