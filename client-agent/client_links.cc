#include "client-agent/client_links.h"

#include <algorithm>

namespace holdfast {
namespace {

LinkLoad load_of(const ClientLink& link, Candidates candidates) {
  LaneView view = link.view();
  LinkLoad load;
  load.leaves = link.retiring() || link.link().draining();
  load.coming = candidates == Candidates::up_or_coming && link.coming();
  load.down = !link.link().live() && !load.coming;
  load.streams = view.streams;
  load.crowd = load.bulk = view.bulk;
  load.queued = static_cast<std::size_t>(link.link().send_log_bytes() / (64 * kKiB));
  // Where there can be another lane for it, also beside streams that may turn out to be bulk.
  if (!link.lanes().vary()) return load;
  load.crowd += view.young;
  load.busy = view.busy;
  return load;
}

}  // namespace

ClientLinks::ClientLinks(Loop& loop, std::vector<ClientLinkOptions> links, std::uint64_t memory,
                         std::uint32_t connections, StreamQuota& quota,
                         const MakeRegionMemory& make_state, Observer& observer,
                         ClientLink::Owner& owner)
    : loop_(loop),
      observer_(observer),
      owner_(owner),
      pool_(memory, connections, &quota, make_state),
      trimmer_(loop, pool_),
      resolver_(loop),
      closing_([this] { owner_.wake(); }),
      patience_(loop.timers(), [this] { owner_.wake(); }),
      looked_(loop.timers(), [this] { look(); }),
      turn_over_(loop.timers(), [this] { owner_.wake(); }),
      network_(loop, [this] {
        for (auto& link : links_) link->network_changed();
      }) {
  loop.poller().on_refusal([this](int error) {
    observer_.warning("the host does not watch a descriptor (epoll: " + error_text(error) +
                      "): it is asked every 10 ms; see fs.epoll.max_user_watches");
  });
  for (ClientLinkOptions& link : links) add(std::move(link));
  if (!network_.active()) observer.warning("changes of the host's network cannot be watched");
}

ClientLink& ClientLinks::add(ClientLinkOptions options, Time until) {
  // Above every link's that this process ever had in the slot: those count up one by one.
  options.link.first_ordinal = static_cast<std::uint64_t>(loop_.now().time_since_epoch().count());
  links_.push_back(std::make_unique<ClientLink>(
      ClientContext{loop_, pool_, resolver_, observer_, closing_, next_carrier_},
      std::move(options), owner_));
  links_.back()->expect(until);
  return *links_.back();
}

ClientLink* ClientLinks::find(std::string_view name) {
  for (auto& link : links_) {
    if (link->name() == name && !link->leaving()) return link.get();
  }
  return nullptr;
}

ClientLink* ClientLinks::choose(std::string_view group, Candidates candidates) {
  ClientLink* best = nullptr;
  LinkLoad least;
  for (auto& link : links_) {
    if (link->group() != group || link->leaving()) continue;
    LinkLoad load = load_of(*link, candidates);
    for (const Waiting& each : waiting_) load.crowd += each.lane == link->name() ? 1 : 0;
    if (best != nullptr && load >= least) continue;
    best = link.get();
    least = load;
  }
  return best;
}

std::optional<LinkLoad> ClientLinks::load(std::string_view group, Candidates candidates) {
  const ClientLink* best = choose(group, candidates);
  if (best == nullptr) return std::nullopt;
  LinkLoad load = load_of(*best, candidates);
  for (const Waiting& each : waiting_) load.crowd += each.lane == best->name() ? 1 : 0;
  return load;
}

// --- Lanes ----------------------------------------------------------------------------------

void ClientLinks::admit(ClientLink& link, ClientHandover& comer) {
  if (link.coming() && loop_.now() < comer.until) {
    waiting_.push_back({link.name(), std::move(comer)});
    return owner_.wake();
  }
  link.open(comer);
}

void ClientLinks::settle_waiting() {
  Time next = kNever;
  for (Waiting& each : std::exchange(waiting_, {})) {
    ClientLink* lane = find(each.lane);
    if (lane == nullptr || !lane->coming() || loop_.now() >= each.comer.until) {
      if (lane == nullptr || !lane->link().live()) lane = choose(each.comer.group);
      if (lane == nullptr) continue;  // a reload took the group away: a reset
      lane->open(each.comer);
      if (!each.comer.socket.valid()) continue;
      // No room: room_ wakes us.
    } else {
      next = std::min(next, each.comer.until);
    }
    waiting_.push_back(std::move(each));
  }
  patience_.arm(next);
}

std::vector<LaneState> ClientLinks::lanes(std::string_view group) const {
  std::vector<LaneState> lanes;
  for (const auto& link : links_) {
    if (link->group() != group || link->retiring() || link->leaving()) continue;
    const LaneMeter& meter = link->meter();
    lanes.push_back({link->name(), link->lane(), link->link().live(), link->view(),
                     meter.troubled(), meter.round_trip(), meter.least_round_trip()});
  }
  return lanes;
}

// The longest round trip of the other lanes that move something, be it their tables.
Duration ClientLinks::busiest_beside(const ClientLink& lane) const {
  Duration longest{};
  for (const auto& link : links_) {
    if (link.get() == &lane || link->group() != lane.group()) continue;
    if (link->greeting()) {
      auto path = link->driver().carrier_path();
      if (path) longest = std::max(longest, std::min(path->ack_time, tuning::kMostAckTime));
    }
    if (!link->link().live() || !link->view().busy) continue;
    Duration asked = link->link().liveness().loaded_round_trip(loop_.now());
    longest = std::max({longest, asked, link->meter().ack_time()});
  }
  return longest;
}

void ClientLinks::look() {
  for (auto& link : links_) {
    if (link->lanes().most == 1 || link->leaving()) continue;
    link->look();
    if (link->useless()) link->leave(Cause::goodbye);
  }
  for (auto& link : links_) link->beside(busiest_beside(*link));
  owner_.lanes_seen();
  owner_.wake();
}

// An idle link of one lane is left alone.
void ClientLinks::look_again() {
  if (looked_.armed()) return;
  bool any = std::any_of(links_.begin(), links_.end(), [](const auto& link) {
    return link->lanes().most > 1 &&
           (link->link().stream_count() != 0 || link->lane() >= link->lanes().first);
  });
  if (any) looked_.arm(loop_.now() + tuning::kLaneSample);
}

// True: one may dial now, or may no more.
bool ClientLinks::give_turns() {
  std::map<std::string_view, std::vector<LaneTurns::Lane>> waiting;
  for (const auto& link : links_) {
    if (!link->waits_long()) continue;
    Duration round_trip = link->meter().least_round_trip();
    waiting[link->group()].push_back({link->name(), link->greeting(), round_trip});
  }
  if (waiting.empty() && turns_.empty()) return false;
  Time now = loop_.now();
  std::erase_if(turns_, [&](const auto& each) { return waiting.count(each.first) == 0; });
  Time next = kNever;
  for (const auto& [group, lanes] : waiting) {
    LaneTurns& turns = turns_[std::string(group)];
    turns.look(now, lanes);
    next = std::min(next, turns.next_timeout());
  }
  turn_over_.arm(next);
  bool changed = false;
  for (auto& link : links_) {
    auto turns = turns_.find(link->group());
    bool may = turns == turns_.end() || !link->waits_long() || turns->second.may(now, link->name());
    changed = link->give_turn(may) || changed;
  }
  return changed;
}

std::vector<Endpoint> ClientLinks::addresses() const {
  std::vector<Endpoint> all;
  for (const auto& link : links_) {
    std::vector<Endpoint> its = link->dials().addresses();
    all.insert(all.end(), its.begin(), its.end());
  }
  return all;
}

std::uint64_t ClientLinks::addresses_version() const {
  std::uint64_t sum = 0;
  for (const auto& link : links_) sum += link->dials().addresses_version();
  return sum;
}

void ClientLinks::go_on(Relics& relics, RecoveryTally& tally) {
  for (auto& link : links_) link->go_on(relics, tally);
}

bool ClientLinks::pump() {
  bool more = false;
  for (auto& link : links_) more = link->pump() || more;
  more = give_turns() || more;
  if (!waiting_.empty()) settle_waiting();
  if (!leaving_) {
    std::erase_if(links_, [this](const auto& link) {
      if (!link->over()) return false;
      owner_.lane_over(link->last_word());
      return true;
    });
    look_again();
  }
  closing_.sweep();
  return more;
}

void ClientLinks::reconfigure(std::vector<ClientLinkOptions> links, bool revoke) {
  for (auto& link : links_) {
    bool stays = std::any_of(links.begin(), links.end(),
                             [&](const auto& wanted) { return wanted.name == link->name(); });
    if (!stays && revoke) link->leave(Cause::revoked);
    if (!stays && !revoke) link->retire();
  }
  for (ClientLinkOptions& wanted : links) {
    ClientLink* link = find(wanted.name);
    if (link != nullptr) {
      link->reconfigure(std::move(wanted), revoke);
    } else {
      add(std::move(wanted));
    }
  }
}

bool ClientLinks::retire(std::string_view name) {
  ClientLink* link = find(name);
  if (link == nullptr) return false;
  link->retire();
  return true;
}

ClientLink& ClientLinks::replace(std::string_view name, ClientLinkOptions successor) {
  ClientLink& added = add(std::move(successor));
  if (ClientLink* link = find(name); link != nullptr) link->retire_for(added);
  return added;
}

bool ClientLinks::kill(const ConnectionName& connection) {
  return std::any_of(links_.begin(), links_.end(),
                     [&](auto& link) { return link->kill(connection); });
}

void ClientLinks::leave(Cause cause) {
  leaving_ = true;
  waiting_.clear();
  for (auto& link : links_) link->leave(cause);
}

bool ClientLinks::over() {
  closing_.sweep();
  return closing_.empty() &&
         std::all_of(links_.begin(), links_.end(), [](const auto& link) { return link->over(); });
}

std::size_t ClientLinks::stream_count() const {
  std::size_t count = waiting_.size();
  for (const auto& link : links_) count += link->link().stream_count();
  return count;
}

}  // namespace holdfast
