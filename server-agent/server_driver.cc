#include "server-agent/server_driver.h"

#include <algorithm>

namespace holdfast {
namespace {

// An idle server that drains waits so long for streams that are on their way to it.
constexpr Duration kOnTheirWay = milliseconds(500);

// Of the reserve's descriptors strangers have a quarter at most: the rest is for known clients.
SeatLimits scarce_seat_limits(std::size_t descriptors) {
  SeatLimits limits;
  limits.unproven = std::max<std::size_t>(DescriptorBudget::reserve_of(descriptors) / 4, 2);
  limits.per_source = limits.unproven / 2;
  return limits;
}

}  // namespace

ServerDriver::ServerDriver(Loop& loop, ServerOptions options, Observer& observer)
    : loop_(loop),
      options_(std::move(options)),
      observer_(observer),
      placement_(options_.threads, options_.connections),
      link_budget_(DescriptorBudget::everything()),
      life_(loop, [this] { wake_ = true; }),
      on_their_way_(loop.timers(), [this] { wake_ = true; }),
      news_(loop, [this] { wake_ = true; }),
      links_(loop, options_, 0, placement_, observer, *this),
      closing_([this] { wake_ = true; }),
      newcomers_(loop, *this, observer, closing_, options_.registry.link.handshake_timeout,
                 options_.registry.link.max_streams, seat_limits(options_.descriptors),
                 scarce_seat_limits(options_.descriptors)),
      transport_(transport_factory(options_.tls.get())),
      listeners_(loop, links_.targets().resolver(), link_budget_, *this, observer, nullptr,
                 [this] { placement_.set_listening(listeners_.addresses()); }) {
  remember(options_.names);
  for (std::size_t each = 1; each < options_.threads; ++each) {
    workers_.push_back(std::make_unique<ServerWorker>(options_, each, placement_, observer,
                                                      [this] { news_.wake(); }));
  }
  if (options_.relics != nullptr) recover(*options_.relics);
}

void ServerDriver::recover(Relics& relics) {
  for (const LinkRelic& each : relics.links()) {
    Placement::Claim claim = placement_.claim(each.facts().client, each.facts().slot);
    std::size_t loop = claim.loop();
    ServerLinks& links = loop == 0 ? links_ : workers_[loop - 1]->links();
    links.recover(each, std::move(claim));
  }
}

ServerDriver::~ServerDriver() {
  // They tell each other things: none goes while another one turns.
  for (auto& worker : workers_) worker->thread().stop();
}

LoopsPause ServerDriver::pause_loops() {
  std::vector<LoopThread*> threads;
  for (auto& worker : workers_) threads.push_back(&worker->thread());
  return LoopsPause(std::move(threads));
}

std::optional<std::string> ServerDriver::key_of(const std::string& client) const {
  auto known = options_.clients.find(client);
  if (known == options_.clients.end()) return std::nullopt;
  return known->second.key_id;
}

std::uint64_t ServerDriver::memory() const {
  std::uint64_t sum = links_.pool().memory();
  for (const auto& worker : workers_) sum += worker->links().pool().memory();
  return sum;
}

TurnHistogram ServerDriver::turns() const {
  TurnHistogram sum;
  for (const auto& worker : workers_) sum += worker->loop().turns();
  return sum;
}

// --- Listening ------------------------------------------------------------------------------

RecoveryTally ServerDriver::go_on() {
  RecoveryTally tally;
  if (options_.relics == nullptr) return tally;
  links_.go_on(*options_.relics, tally);
  for (auto& worker : workers_) worker->links().go_on(*options_.relics, tally);
  return tally;
}

Status ServerDriver::listen() {
  Relics* relics = std::exchange(options_.relics, nullptr);
  if (relics != nullptr) listeners_.inherit(&relics->listeners());
  Status bound = listen_on(options_, MissingAddress::is_waited_for);
  listeners_.inherit(nullptr);
  if (!bound) return bound;
  for (auto& worker : workers_) worker->start();
  return Ok{};
}

void ServerDriver::remember(const std::map<std::string, FoundAddresses>& names) {
  for (const auto& [host, found] : names) links_.targets().resolver().remember(host, found);
}

Status ServerDriver::listen_on(const ServerOptions& options, MissingAddress missing) {
  std::vector<ListenerSet::Wanted> wanted;
  for (const NetListenAddress& address : options.listen) {
    bool required =
        missing == MissingAddress::is_an_error || std::holds_alternative<PassedSocket>(address);
    wanted.push_back({.address = address,
                      .required = required,
                      .freebind = options.freebind,
                      .mptcp = options.mptcp});
  }
  return listeners_.set(wanted);
}

// --- Reload ---------------------------------------------------------------------------------

Status ServerDriver::reconfigure(ServerOptions options, bool revoke) {
  // What may fail comes first.
  remember(options.names);
  if (life_.running()) {
    if (Status bound = listen_on(options, MissingAddress::is_an_error); !bound) return bound;
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
  const auto* clients = revoke ? &before.clients : nullptr;
  links_.reconfigured(clients);
  for (auto& worker : workers_) worker->links().reconfigured(clients);
  wake_ = true;
  room_ = true;
  return Ok{};
}

// --- A turn's end ---------------------------------------------------------------------------

bool ServerDriver::end_of_turn() {
  if (!wake_) return false;
  wake_ = false;
  settle_receptions();
  bool more = links_.pump();
  if (std::exchange(room_, false)) listeners_.resume();
  if (!life_.running()) advance_shutdown();
  closing_.sweep();
  wake_ = wake_ || more;
  return wake_;
}

bool ServerDriver::kill(std::string_view connection) {
  auto id = parse_connection(connection);
  if (!id) return false;
  return links_.kill(*id) || std::any_of(workers_.begin(), workers_.end(),
                                         [&](auto& worker) { return worker->links().kill(*id); });
}

void ServerDriver::drain(DrainUntil until) {
  if (!life_.drain(until, options_.shutdown_timeout)) return;
  on_their_way_.arm(loop_.now() + kOnTheirWay);
  links_.drain();
  for (auto& worker : workers_) worker->links().drain();
  wake_ = true;
}

bool ServerDriver::undrain() {
  if (!life_.undrain()) return false;
  links_.undrain();
  for (auto& worker : workers_) worker->links().undrain();
  wake_ = true;
  return true;
}

void ServerDriver::shut_down() {
  if (!life_.leave()) return;
  listeners_.clear();
  newcomers_.clear();
  receptions_.clear();
  links_.leave();
  LoopsPause paused = pause_loops();
  for (auto& worker : workers_) worker->leave(life_.deadline());
  wake_ = true;
}

bool ServerDriver::workers_ended() const {
  return std::all_of(workers_.begin(), workers_.end(),
                     [](const auto& worker) { return worker->thread().ended(); });
}

void ServerDriver::advance_shutdown() {
  bool idle = placement_.streams().taken() == 0 && !on_their_way_.armed();
  if (life_.drained(idle)) shut_down();
  if (!life_.leaving()) return;
  closing_.sweep();
  if (life_.stopped(links_.over() && closing_.empty() && workers_ended())) loop_.stop();
}

}  // namespace holdfast
