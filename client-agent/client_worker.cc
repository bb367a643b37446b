#include "client-agent/client_worker.h"

#include <algorithm>
#include <utility>

namespace holdfast {

ClientWorker::ClientWorker(std::vector<ClientLinkOptions> links, std::uint64_t memory,
                           std::uint32_t connections, SharedStreams& streams,
                           const MakeRegionMemory& make_state, Observer& observer,
                           std::function<void()> news)
    : news_(std::move(news)),
      streams_(streams),
      links_(thread_.loop(), std::move(links), memory, connections, streams, make_state, observer,
             *this),
      mailbox_(thread_.loop(), [this](ClientHandover handover) { take(std::move(handover)); }),
      orders_(thread_.loop(), [this](LaneOrder order) { obey(std::move(order)); }),
      deadline_(thread_.loop().timers(), [this] { wake_ = true; }),
      room_elsewhere_(thread_.loop(), [this] { room(); }) {
  note_groups();
  publish(Publish::anyway);
}

// What is on the loop goes before it, and not while it turns.
ClientWorker::~ClientWorker() {
  thread_.stop();
}

void ClientWorker::start() {
  thread_.run(*this, news_);
}

// --- The first loop's thread ------------------------------------------------------------------

void ClientWorker::give(ClientHandover handover) {
  ++given_;
  mailbox_.put(std::move(handover));
}

void ClientWorker::order(LaneOrder order) {
  if (order.comer) ++given_;
  orders_.put(std::move(order));
}

std::vector<LaneOver> ClientWorker::take_lanes_over() {
  std::lock_guard lock(mutex_);
  return std::exchange(lanes_over_, {});
}

std::vector<LaneParting> ClientWorker::take_parting() {
  std::lock_guard lock(mutex_);
  return std::exchange(parting_, {});
}

std::optional<LinkLoad> ClientWorker::load(const std::string& group) const {
  std::lock_guard lock(mutex_);
  auto found = known_.groups.find(group);
  if (found == known_.groups.end() || !found->second.load) return std::nullopt;
  LinkLoad load = *found->second.load;
  load.streams += coming();
  if (found->second.lanes_vary) load.crowd += coming();
  return load;
}

std::vector<LaneState> ClientWorker::lanes(const std::string& group) const {
  std::lock_guard lock(mutex_);
  auto found = known_.groups.find(group);
  return found == known_.groups.end() ? std::vector<LaneState>() : found->second.lanes;
}

bool ClientWorker::is_down(const std::string& group, const std::string& service) const {
  std::lock_guard lock(mutex_);
  auto found = known_.groups.find(group);
  return found != known_.groups.end() && found->second.down.count(service) != 0;
}

bool ClientWorker::full(const std::string& group) const {
  std::lock_guard lock(mutex_);
  auto found = known_.groups.find(group);
  bool waits = found != known_.groups.end() && found->second.full;
  return waits || streams_.taken() + coming() >= streams_.most();
}

std::size_t ClientWorker::stream_count() const {
  std::lock_guard lock(mutex_);
  return known_.streams + coming();
}

bool ClientWorker::leads_to(const Endpoint& destination) const {
  std::lock_guard lock(mutex_);
  return std::find(known_.addresses.begin(), known_.addresses.end(), destination) !=
         known_.addresses.end();
}

void ClientWorker::reconfigure(std::vector<ClientLinkOptions> links, bool revoke) {
  links_.reconfigure(std::move(links), revoke);
  note_groups();
  publish(Publish::anyway);
  wake_ = room_ = true;
}

void ClientWorker::go_on(Relics& relics, RecoveryTally& tally) {
  links_.go_on(relics, tally);
  publish(Publish::anyway);
  wake_ = true;
}

void ClientWorker::leave(Time deadline) {
  leaving_ = true;
  waiting_.clear();
  links_.leave(Cause::goodbye);
  deadline_.arm(deadline);
  wake_ = true;
}

// --- The worker's ----------------------------------------------------------------------------

void ClientWorker::take(ClientHandover handover) {
  wake_ = took_ = true;
  thread_.loop().poller().look_once_more();  // as where it was accepted
  ++now_.taken;
  // In order: nobody overtakes those of the group who wait.
  if (!leaving_ && (any_waits(handover.group) || !open(handover))) {
    waiting_.push_back(std::move(handover));
  }
}

void ClientWorker::obey(LaneOrder order) {
  if (leaving_) return;
  if (order.open) {
    now_.groups[order.open->group];
    ClientLink& lane = order.retire.empty() ? links_.add(std::move(*order.open), order.until)
                                            : links_.replace(order.retire, std::move(*order.open));
    if (order.comer) links_.admit(lane, *order.comer);
  } else {
    links_.retire(order.retire);
  }
  if (order.comer) ++now_.taken;
  took_ = wake_ = true;
}

void ClientWorker::lane_over(LaneOver over) {
  {
    std::lock_guard lock(mutex_);
    lanes_over_.push_back(std::move(over));
  }
  news_();
}

void ClientWorker::lane_parts(LaneParting parting) {
  {
    std::lock_guard lock(mutex_);
    parting_.push_back(std::move(parting));
  }
  news_();
}

bool ClientWorker::any_waits(std::string_view group) const {
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [&](const ClientHandover& each) { return each.group == group; });
}

void ClientWorker::open_waiting() {
  for (ClientHandover& each : std::exchange(waiting_, {})) {
    if (any_waits(each.group) || !open(each)) waiting_.push_back(std::move(each));
  }
}

// True when it is settled, well or not.
bool ClientWorker::open(ClientHandover& handover) {
  ClientLink* link =
      links_.choose(handover.group, candidates_at(thread_.loop().now(), handover.until));
  // A reload took the group away meanwhile: the application reads a reset, as of its service.
  if (link == nullptr) return true;
  links_.admit(*link, handover);
  return !handover.socket.valid();
}

bool ClientWorker::end_of_turn() {
  if (!wake_) return false;
  wake_ = false;
  if (std::exchange(room_, false)) open_waiting();
  bool more = links_.pump();
  publish(Publish::news);
  if (leaving_ && (links_.over() || !deadline_.armed())) thread_.loop().stop();
  wake_ = wake_ || more;
  return wake_;
}

// Of the links that are there now; those of groups that are gone stay until they are over.
void ClientWorker::note_groups() {
  now_.groups.clear();
  for (const auto& link : links_.all()) now_.groups[link->group()];
}

// Costs a look at each link, and something only when there is news.
void ClientWorker::publish(Publish what) {
  bool changed = std::exchange(took_, false) || what == Publish::anyway;
  bool seen = std::exchange(lanes_seen_, false);
  changed = changed || seen;
  bool matters = seen;  // to who waits for room, for a target, or for the last connection's end
  for (auto& [name, group] : now_.groups) {
    if (seen) group.lanes = links_.lanes(name);
    std::optional<LinkLoad> load = links_.load(name, Candidates::up_or_coming);
    bool full = any_waits(name);
    changed = changed || load != group.load || full != group.full;
    matters = matters || (group.full && !full);
    group.load = load;
    group.full = full;
    const ClientLink* link = links_.choose(name);
    if (link != nullptr) group.lanes_vary = link->lanes().vary();
    if (link == nullptr || link->down() == group.down) continue;
    group.down = link->down();
    matters = true;
  }
  std::size_t streams = links_.stream_count() + waiting_.size();
  matters = matters || (streams == 0 && now_.streams != 0);
  changed = changed || streams != now_.streams;
  now_.streams = streams;
  std::uint64_t version = links_.addresses_version();
  if (version != now_.addresses_version) {
    now_.addresses_version = version;
    now_.addresses = links_.addresses();
    changed = true;
  }
  if (changed || matters) {
    std::lock_guard lock(mutex_);
    known_ = now_;
  }
  if (matters) news_();
}

}  // namespace holdfast
