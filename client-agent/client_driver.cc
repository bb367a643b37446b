#include "client-agent/client_driver.h"

#include <algorithm>

#include "common/tunnel/share.h"

namespace holdfast {
namespace {

// A link that was there before is what the same lane of the config goes on with; one that was
// opened besides comes again.
LinkSpread with_relics(Relics* relics, ClientLanes& lanes, LinkSpread spread) {
  if (relics == nullptr) return spread;
  for (const LinkRelic& relic : relics->links()) {
    ClientLinkOptions* its = nullptr;
    for (auto& loop : spread) {
      for (ClientLinkOptions& each : loop) {
        if (each.link.slot == relic.facts().slot && !each.relic) its = &each;
      }
    }
    if (its == nullptr) {
      std::optional<ClientLanes::Opened> opened = lanes.open_again(relic.facts().slot);
      if (!opened) continue;  // the config has no such link: its sockets are reset
      its = &spread[opened->loop].emplace_back(std::move(opened->options));
    }
    its->relic = relic;
  }
  return spread;
}

}  // namespace

// cppcheck-suppress passedByValue  ; its parts are moved from
ClientDriver::ClientDriver(Loop& loop, ClientOptions options, Observer& observer)
    : ClientDriver(loop, options, ClientLanes(options.threads), observer) {}

ClientDriver::ClientDriver(Loop& loop, ClientOptions& options, ClientLanes lanes,
                           Observer& observer)
    : ClientDriver(loop, options, lanes,
                   with_relics(options.relics, lanes,
                               lanes.spread(std::move(options.links),
                                            [](const std::string&) { return std::nullopt; })),
                   observer) {}

ClientDriver::ClientDriver(Loop& loop, ClientOptions& options, ClientLanes& lanes,
                           LinkSpread spread, Observer& observer)
    : loop_(loop),
      observer_(observer),
      shutdown_timeout_(options.shutdown_timeout),
      budget_(options.descriptors),
      life_(loop, [this] { wake_ = true; }),
      news_(loop, [this] { room_ = mirror_ = wake_ = true; }),
      streams_(options.connections, [this] { tell_room(); }),
      lanes_(std::move(lanes)),
      links_(loop, std::move(spread[0]), options.memory / spread.size(),
             part_of(options.connections, spread.size(), 0), streams_, options.make_state, observer,
             *this),
      services_(std::move(options.services)),
      listeners_(loop, links_.resolver(), budget_, *this, observer, tune_application_socket, [] {}),
      loops_(options.loops),
      relics_(options.relics) {
  remember(options.names);
  make_policies();
  for (std::size_t each = 1; each < spread.size(); ++each) {
    workers_.push_back(
        std::make_unique<ClientWorker>(std::move(spread[each]), options.memory / spread.size(),
                                       part_of(options.connections, spread.size(), each), streams_,
                                       options.make_state, observer, [this] { news_.wake(); }));
  }
}

ClientDriver::~ClientDriver() {
  for (auto& worker : workers_) worker->thread().stop();
  streams_.forget_waiters();
}

// Of whatever loop: who waits may be another's.
void ClientDriver::tell_room() {
  news_.wake();
  for (auto& worker : workers_) worker->tell_room();
}

LoopsPause ClientDriver::pause_loops() {
  std::vector<LoopThread*> threads;
  for (auto& worker : workers_) threads.push_back(&worker->thread());
  return LoopsPause(std::move(threads));
}

std::optional<std::size_t> ClientDriver::loop_of(const std::string& link) const {
  auto has = [&](const ClientLinks& links) {
    return std::any_of(links.all().begin(), links.all().end(),
                       [&](const auto& each) { return each->name() == link && !each->leaving(); });
  };
  if (has(links_)) return 0;
  for (std::size_t each = 0; each < workers_.size(); ++each) {
    if (has(workers_[each]->links())) return each + 1;
  }
  return std::nullopt;
}

ClientWorker* ClientDriver::choose_worker(const std::string& group) {
  ClientWorker* best = nullptr;
  LinkLoad least;
  for (auto& worker : workers_) {
    std::optional<LinkLoad> load = worker->load(group);
    if (!load || worker->full(group) || (best != nullptr && *load >= least)) continue;
    least = *load;
    best = worker.get();
  }
  bool room = !streams_.full();
  std::optional<LinkLoad> here =
      best != nullptr && room ? links_.load(group, Candidates::up_or_coming) : std::nullopt;
  return here && *here <= least ? nullptr : best;
}

// The workers' may be a turn old.
std::size_t ClientDriver::stream_count() const {
  std::size_t count = links_.stream_count();
  for (const auto& worker : workers_) count += worker->stream_count();
  return count;
}

std::uint64_t ClientDriver::memory() const {
  std::uint64_t sum = links_.pool().memory();
  for (const auto& worker : workers_) sum += worker->links().pool().memory();
  return sum;
}

std::uint32_t ClientDriver::max_streams() const {
  return streams_.most();
}

TurnHistogram ClientDriver::turns() const {
  TurnHistogram sum;
  for (const auto& worker : workers_) sum += worker->thread().loop().turns();
  return sum;
}

// --- Listening ------------------------------------------------------------------------------

bool ClientDriver::has_link_in(std::uint32_t slot) const {
  bool has = false;
  for_each_link([&](const ClientLink& link, const MemoryPool&) {
    has = has || link.link().options().slot == slot;
  });
  return has;
}

RecoveryTally ClientDriver::go_on() {
  RecoveryTally tally;
  if (relics_ == nullptr) return tally;
  links_.go_on(*relics_, tally);
  for (auto& worker : workers_) worker->go_on(*relics_, tally);
  for (const LinkRelic& each : relics_->links()) {
    std::size_t left = each.link->streams.size();
    if (left == 0 || has_link_in(each.facts().slot)) continue;
    tally.lost += left;
    observer_.warning("the config has no such link any more: " + std::to_string(left) +
                      " connections of a process before this one are reset");
  }
  return tally;
}

Status ClientDriver::listen() {
  if (relics_ != nullptr) listeners_.inherit(&relics_->listeners());
  Status bound = listen_on(services_, MissingAddress::is_waited_for);
  listeners_.inherit(nullptr);
  if (!bound) return bound;
  adopt_fresh();
  for (auto& worker : workers_) worker->start();
  return Ok{};
}

void ClientDriver::adopt_fresh() {
  Relics* relics = std::exchange(relics_, nullptr);
  if (relics == nullptr) return;
  for (Descriptor& each : relics->take_fresh()) {
    listeners_.adopt(each);
    if (!each.valid()) adopted_ += 1;
  }
}

void ClientDriver::remember(const std::map<std::string, FoundAddresses>& names) {
  for (const auto& [host, found] : names) links_.resolver().remember(host, found);
}

// By the config, whether its target is down or not.
bool ClientDriver::was_wanted(const ClientService& service) const {
  return std::any_of(services_.begin(), services_.end(), [&](const ClientService& each) {
    return each.listen == service.listen && each.mode == service.mode;
  });
}

Status ClientDriver::listen_on(const std::vector<ClientService>& services, MissingAddress missing) {
  std::vector<ListenerSet::Wanted> wanted;
  for (std::size_t tag = 0; tag < services.size(); ++tag) {
    const ClientService& service = services[tag];
    bool shared = std::any_of(wanted.begin(), wanted.end(), [&](const ListenerSet::Wanted& each) {
      return each.address == service.listen;
    });
    if (shared || is_down(service)) continue;
    bool required = std::holds_alternative<PassedSocket>(service.listen) ||
                    (missing == MissingAddress::is_an_error && !was_wanted(service));
    wanted.push_back({.address = service.listen,
                      .tag = tag,
                      .transparent = service.mode == ListenMode::tproxy,
                      .required = required,
                      .freebind = service.freebind,
                      .access = service.access});
  }
  return listeners_.set(wanted);
}

bool ClientDriver::is_down(const ClientService& service) {
  if (!service.mirror) return false;
  // Of all loops, also full ones: whose link is best knows best.
  const ClientLink* here = links_.choose(service.link);
  bool down = here != nullptr && here->is_down(service.name);
  std::optional<LinkLoad> least = links_.load(service.link);
  for (const auto& worker : workers_) {
    std::optional<LinkLoad> load = worker->load(service.link);
    if (!load || load->coming || (least && *load >= *least)) continue;
    least = load;
    down = worker->is_down(service.link, service.name);
  }
  return down;
}

// A service whose target is down looks it: its listener is closed, so that the kernel refuses.
void ClientDriver::follow_targets() {
  Status bound = listen_on(services_, MissingAddress::is_waited_for);
  if (!bound) observer_.warning(bound.error().message);
}

// --- Reload ---------------------------------------------------------------------------------

Status ClientDriver::reconfigure(ClientOptions options, bool revoke) {
  // Listeners first: they are what may fail. Whom a leaving one still hands over goes where its
  // service led before.
  remember(options.names);
  if (life_.running()) {
    if (Status bound = listen_on(options.services, MissingAddress::is_an_error); !bound)
      return bound;
  }
  shutdown_timeout_ = options.shutdown_timeout;
  LinkSpread spread = lanes_.spread(std::move(options.links),
                                    [this](const std::string& link) { return loop_of(link); });
  make_policies();
  links_.reconfigure(std::move(spread[0]), revoke);
  for (std::size_t each = 0; each < workers_.size(); ++each) {
    workers_[each]->reconfigure(std::move(spread[each + 1]), revoke);
  }
  services_ = std::move(options.services);
  mirror_ = true;
  wake_ = true;
  room_ = true;
  return Ok{};
}

// --- A turn's end ---------------------------------------------------------------------------

bool ClientDriver::end_of_turn() {
  if (!wake_) return false;
  wake_ = false;
  if (!workers_.empty()) hear_workers();
  if (!parting_.empty()) replace_parting();
  if (std::exchange(lanes_seen_, false)) follow_lanes();
  settle_receptions();
  if (std::exchange(mirror_, false) && life_.running()) follow_targets();
  bool more = links_.pump();
  if (std::exchange(room_, false)) listeners_.resume();
  if (!life_.running()) advance_shutdown();
  wake_ = wake_ || more;
  return wake_;
}

void ClientDriver::shut_down() {
  if (!life_.leave()) return;
  listeners_.clear();
  receptions_.clear();
  links_.leave(Cause::goodbye);
  LoopsPause paused = pause_loops();
  for (auto& worker : workers_) worker->leave(life_.deadline());
  wake_ = true;
}

void ClientDriver::drain(DrainUntil until) {
  bool first = life_.running();
  if (!life_.drain(until, shutdown_timeout_)) return;
  if (first) {
    listeners_.clear();
    receptions_.clear();
  }
  wake_ = true;
}

bool ClientDriver::undrain() {
  if (!life_.undrain()) return false;
  follow_targets();
  wake_ = true;
  return true;
}

void ClientDriver::advance_shutdown() {
  if (life_.drained(stream_count() == 0)) shut_down();
  if (!life_.leaving()) return;
  bool gone = links_.over() && std::all_of(workers_.begin(), workers_.end(),
                                           [](auto& worker) { return worker->thread().ended(); });
  if (life_.stopped(gone)) loop_.stop();
}

bool ClientDriver::kill(std::string_view connection) {
  auto id = parse_connection(connection);
  if (!id) return false;
  return links_.kill(*id) || std::any_of(workers_.begin(), workers_.end(),
                                         [&](auto& worker) { return worker->links().kill(*id); });
}

}  // namespace holdfast
