#include "server-agent/server_links.h"

#include <algorithm>

#include "common/base/overloaded.h"
#include "common/io/secure_random.h"
#include "common/tunnel/refusal_text.h"
#include "common/tunnel/share.h"

namespace holdfast {
namespace {

// Who is not let in may try again then: the config may be another one.
constexpr Duration kStrangerRetry = seconds(5);

}  // namespace

SeatLimits seat_limits(std::size_t descriptors) {
  SeatLimits limits;
  limits.unproven = std::min(limits.unproven, descriptors / 8);
  limits.per_source = std::min(limits.per_source, std::max<std::size_t>(limits.unproven / 2, 1));
  return limits;
}

ServerLinks::ServerLinks(Loop& loop, const ServerOptions& options, std::size_t index,
                         Placement& placement, Observer& observer, Owner& owner)
    : loop_(loop),
      options_(options),
      placement_(placement),
      observer_(observer),
      owner_(owner),
      pool_(options.memory / options.threads, part_of(options.connections, options.threads, index),
            &placement.streams(), options.make_state),
      trimmer_(loop, pool_),
      closing_([this] { owner_.wake(); }),
      targets_(loop, options, placement, observer,
               [this] {
                 targets_changed_ = true;
                 owner_.wake();
               }),
      registry_(options.registry, pool_, random_u64(), &placement),
      greeted_(loop, *this, observer, closing_, options.registry.link.handshake_timeout,
               options.registry.link.max_streams, seat_limits(options.descriptors),
               seat_limits(options.descriptors)),
      registry_timer_(loop.timers(), [this] { owner_.wake(); }),
      gone_(loop, [this](const std::pair<std::string, std::uint64_t>& process) {
        registry_.process_gone(loop_.now(), process.first, process.second);
        owner_.wake();
      }) {
  loop.poller().on_refusal([this](int error) {
    observer_.warning("the host does not watch a descriptor (epoll: " + error_text(error) +
                      "): it is asked every 10 ms; see fs.epoll.max_user_watches");
  });
  placement_.hear_of_gone([this](const std::string& client, std::uint64_t start_id) {
    gone_.put({client, start_id});
  });
}

// --- Reload ---------------------------------------------------------------------------------

void ServerLinks::reconfigured(const std::map<std::string, ServerClient>* before) {
  greeted_.set_handshake_timeout(options_.registry.link.handshake_timeout);
  greeted_.expect(options_.registry.link.max_streams);
  registry_.reconfigure(options_.registry, [this](const std::string& client) {
    auto known = options_.clients.find(client);
    return known == options_.clients.end() ? nullptr : &known->second.policy;
  });
  targets_.watch();
  targets_changed_ = true;
  for (auto& [id, driver] : drivers_) driver->look_now();
  if (before != nullptr) revoke(*before);
  owner_.wake();
}

void ServerLinks::revoke(const std::map<std::string, ServerClient>& before) {
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
void ServerLinks::revoke_destinations(Link& link, const StreamGrants& grants) {
  std::vector<StreamHandle> gone;
  link.for_each_stream(loop_.now(), [&](StreamHandle stream, const StreamSummary& summary) {
    if (link.options().services[summary.service].name != kByDestination) return;
    if (check_destination(grants, normalized(summary.destination)) != Cause::none) {
      gone.push_back(stream);
    }
  });
  for (StreamHandle stream : gone) link.reset(loop_.now(), stream, Cause::revoked);
}

// --- Carriers whose client is known -----------------------------------------------------------

void ServerLinks::take(GreetedCarrier greeted) {
  if (leaving_) return;
  owner_.wake();
  next_carrier_ += 1;
  CarrierId carrier{next_carrier_};
  deciding_.emplace(carrier, std::move(greeted.claim));
  greeted_.add_greeted(carrier, std::move(greeted.carrier), greeted.client);
  // A reload may have taken the client away on the way here.
  auto client = options_.clients.find(greeted.client);
  if (client == options_.clients.end()) {
    return greeted_.refuse(carrier, Cause::auth, "unknown client " + greeted.client,
                           answer_to_stranger());
  }
  decide(carrier,
         registry_.hello(loop_.now(), carrier, client->second.policy, std::move(greeted.request)));
}

Buffer ServerLinks::answer_to_stranger() const {
  return registry_.welcome_refused({Cause::auth, kStrangerRetry});
}

void ServerLinks::newcomer_gone(CarrierId carrier) {
  registry_.carrier_gone(carrier);
  deciding_.erase(carrier);
  owner_.wake();
}

void ServerLinks::decide(CarrierId carrier, LinkRegistry::Decision decision) {
  std::visit(overloaded{
                 [&](const LinkRegistry::Accepted& accepted) { accept(carrier, accepted); },
                 [&](const LinkRegistry::Refused& refused) {
                   greeted_.refuse(carrier, refused.cause,
                                   refusal_text(refused.cause, deciding_.at(carrier).client()),
                                   registry_.welcome_refused(refused));
                 },
                 [&](const LinkRegistry::Unknown& unknown) {
                   bool known = unknown.why != Cause::none;
                   greeted_.refuse(carrier, known ? unknown.why : Cause::server_restarted,
                                   known ? "its link has ended" : "unknown link",
                                   registry_.welcome_unknown(unknown));
                 },
                 [&](const LinkRegistry::Stale&) {
                   greeted_.refuse(carrier, Cause::stale, "an older attempt", {});
                 },
                 [&](const LinkRegistry::Waiting&) {},
             },
             decision);
}

LinkDriver& ServerLinks::drive(Link& link, Placement::Claim claim) {
  const LinkId& id = link.id();
  auto& driver = drivers_[id];
  driver = std::make_unique<LinkDriver>(loop_, link, *this, observer_, closing_,
                                        registry_.client_of(id));
  driver->set_lane(registry_.slot_of(id) % kLanesOfALink != 0);
  claims_.emplace(id, std::move(claim));
  return *driver;
}

// --- After a death ----------------------------------------------------------------------------

// Also of a client that a reload took away: its streams stay.
void ServerLinks::recover(const LinkRelic& relic, Placement::Claim claim) {
  auto client = options_.clients.find(relic.facts().client);
  ClientPolicy nobody;
  nobody.name = relic.facts().client;
  const ClientPolicy& policy = client != options_.clients.end() ? client->second.policy : nobody;
  Recovered recovered;
  auto link = Link::recover(loop_.now(), registry_.options_for(policy), pool_, *relic.state,
                            *relic.link, relic.relics->judge(), recovered);
  Link* adopted = registry_.adopt(std::move(link), relic.facts());
  if (adopted == nullptr) return;  // an id twice: its sockets are reset
  drive(*adopted, std::move(claim));
  recovered_.emplace(adopted->id(), std::move(recovered));
}

void ServerLinks::go_on(Relics& relics, RecoveryTally& tally) {
  for (const auto& [id, recovered] : std::exchange(recovered_, {})) {
    LinkDriver& driver = *drivers_.at(id);
    tally.add(recovered);
    const std::vector<LinkService>& services = driver.link().options().services;
    for (const RecoveredStream& each : recovered.streams) {
      auto summary = driver.link().find_stream(loop_.now(), each.stream.id, nullptr);
      const std::string* target =
          summary ? targets_.name_of(services[summary->service].name) : nullptr;
      driver.go_on(each, relics.take_socket(each.descriptor), target);
    }
    for (const Recovered::Lost& each : recovered.lost) driver.tell_lost(each);
    driver.touch();
  }
}

void ServerLinks::accept(CarrierId carrier, LinkRegistry::Accepted accepted) {
  std::unique_ptr<Carrier> taken = greeted_.take(carrier);
  HOLDFAST_CHECK(taken != nullptr);
  const LinkId& id = accepted.link->id();
  if (accepted.created) {
    drive(*accepted.link, placement_.claim(registry_.client_of(id), registry_.slot_of(id)));
  }
  deciding_.erase(carrier);
  targets_.tell_down(*accepted.link);
  placement_.note_source(id, source_of(taken->peer()));
  drivers_.at(id)->adopt(std::move(taken));
}

// --- A turn's end ---------------------------------------------------------------------------

void ServerLinks::wants_pump(LinkDriver& driver) {
  owner_.wake();
  dirty_.push_back(driver.link().id());
}

bool ServerLinks::pump() {
  poll_registry();
  if (std::exchange(targets_changed_, false)) {
    for (auto& [id, driver] : drivers_) {
      targets_.tell_down(driver->link());
      driver->touch();
    }
  }
  bool more = pump_links();
  remove_ended();
  closing_.sweep();
  return more;
}

void ServerLinks::poll_registry() {
  if (registry_.next_timeout() != kNever) {
    for (auto& [carrier, decision] : registry_.poll(loop_.now())) {
      decide(carrier, std::move(decision));
    }
  }
  for (const auto& [client, start_id] : registry_.take_gone()) {
    placement_.tell_gone(client, start_id);
  }
  for (Link* link : registry_.take_touched()) {
    auto driver = drivers_.find(link->id());
    if (driver != drivers_.end()) driver->second->touch();
  }
  registry_timer_.arm(registry_.next_timeout());
}

bool ServerLinks::pump_links() {
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
void ServerLinks::note_state(LinkDriver& driver) {
  const Link& link = driver.link();
  if (link.ended()) ending_.insert(link.id());
  // An operator has thought better of a drain. Newer clients leave such a link by themselves.
  bool left_over = link.draining() && !registry_.draining() && link.live();
  if (left_over && link.stream_count() == 0) {
    driver.link().goodbye(loop_.now(), Cause::goodbye);
    driver.touch();
  }
  bool waits = !link.ended() && link.detached();
  if (waits && awaited_.insert(link.id()).second) placement_.awaited() += 1;
  if (waits || awaited_.empty()) return;
  if (awaited_.erase(link.id()) != 0) placement_.awaited() -= 1;
}

void ServerLinks::remove_ended() {
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
    placement_.forget(id);
    claims_.erase(id);
    registry_.remove(id);
  }
}

// --- Ends -----------------------------------------------------------------------------------

bool ServerLinks::kill(const ConnectionName& connection) {
  for (auto& [link, driver] : drivers_) {
    if (link.short_name() != connection.link) continue;
    StreamHandle stream;
    if (!driver->link().find_stream(loop_.now(), connection.stream, &stream)) continue;
    driver->link().reset(loop_.now(), stream, Cause::admin_kill);
    driver->touch();
    return true;
  }
  return false;
}

void ServerLinks::drain() {
  registry_.drain(loop_.now());
  owner_.wake();
}

void ServerLinks::undrain() {
  registry_.undrain();
  for (auto& [id, driver] : drivers_) driver->touch();
  owner_.wake();
}

void ServerLinks::leave() {
  leaving_ = true;
  greeted_.clear();
  for (auto& [id, driver] : drivers_) {
    driver->read_last();
    driver->link().goodbye(loop_.now(), Cause::shutdown);
    driver->touch();
  }
  owner_.wake();
}

}  // namespace holdfast
