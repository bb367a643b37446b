// A client agent's lanes: when they come and go, and new connections that wait for one.
#include <algorithm>

#include "client-agent/client_driver.h"

namespace holdfast {
namespace {

// A lane that is no nearer by then counts as one that does not come.
constexpr Duration kLaneComes = seconds(10);

}  // namespace

void ClientDriver::make_policies() {
  auto before = std::exchange(policies_, {});
  for (const auto& [group, range] : lanes_.ranges()) {
    if (!range.vary()) continue;
    LanePolicy policy(range.first, range.most);
    auto known = before.find(group);
    if (known != before.end()) policy.learn_of(known->second);
    policies_.emplace(group, policy);
  }
}

bool ClientDriver::open_lane(const std::string& group) {
  if (!life_.running()) return false;
  std::optional<ClientLanes::Opened> opened = lanes_.open(group, loop_.now());
  if (!opened) return false;
  order_lane(std::move(*opened), loop_.now() + kLaneComes, nullptr);
  return true;
}

void ClientDriver::order_lane(ClientLanes::Opened opened, Time until, ClientHandover* comer) {
  auto policy = policies_.find(opened.options.group);
  if (policy != policies_.end()) policy->second.opened();
  wake_ = true;
  if (opened.loop != 0) {
    LaneOrder order{std::move(opened.options), until, {}, {}};
    if (comer != nullptr) order.comer = std::move(*comer);
    return workers_[opened.loop - 1]->order(std::move(order));
  }
  ClientLink& lane = links_.add(std::move(opened.options), until);
  if (comer != nullptr) links_.admit(lane, *comer);
}

void ClientDriver::retire_lane(const std::string& name) {
  lanes_.retire(name);
  wake_ = true;
  if (links_.retire(name)) return;
  for (auto& worker : workers_) worker->order({{}, {}, {}, name});
}

void ClientDriver::lane_over(LaneOver over) {
  auto policy = policies_.find(over.group);
  if (over.failed && policy != policies_.end()) policy->second.refused(loop_.now());
  lanes_.over(over.group, over.lane, over.slot_free_at);
}

void ClientDriver::hear_workers() {
  for (auto& worker : workers_) {
    for (LaneOver& each : worker->take_lanes_over()) lane_over(std::move(each));
    for (LaneParting& each : worker->take_parting()) parting_.push_back(std::move(each));
  }
}

// Once for each, since it retires then.
void ClientDriver::replace_parting() {
  for (const auto& [name, why] : std::exchange(parting_, {})) {
    if (!life_.running()) continue;
    std::optional<ClientLanes::Opened> opened = lanes_.replace(name, loop_.now());
    if (!opened) continue;
    if (why == Parting::other_server) {
      observer_.warning("link " + name + ": another server answers than the one that has its " +
                        "connections; new ones go over " + opened->options.name);
    }
    if (opened->loop == 0) {
      links_.replace(name, std::move(opened->options));
    } else {
      workers_[opened->loop - 1]->order({std::move(opened->options), {}, {}, name});
    }
    wake_ = true;
  }
}

// What the loops have seen of their lanes decides how many there are.
void ClientDriver::follow_lanes() {
  Time now = loop_.now();
  for (auto& [group, policy] : policies_) {
    std::vector<LaneState> lanes = links_.lanes(group);
    for (const auto& worker : workers_) {
      std::vector<LaneState> theirs = worker->lanes(group);
      lanes.insert(lanes.end(), theirs.begin(), theirs.end());
    }
    policy.look(now, lanes_.count(group), std::move(lanes));
    for (unsigned missing = policy.missing(now); missing != 0; --missing) {
      if (!open_lane(group)) break;
    }
    if (std::optional<std::string> idle = policy.idle(now)) retire_lane(*idle);
  }
}

std::optional<LinkLoad> ClientDriver::least_load(const std::string& group, Candidates candidates) {
  std::optional<LinkLoad> least = links_.load(group, candidates);
  for (const auto& worker : workers_) {
    std::optional<LinkLoad> load = worker->load(group);
    if (load && (!least || *load < *least)) least = load;
  }
  return least;
}

// Where every lane has others that are active, one is opened for it, if that may help; or it waits
// for one that is on its way.
bool ClientDriver::make_lane_for(ClientHandover& comer) {
  auto policy = policies_.find(comer.group);
  if (policy == policies_.end() || !life_.running() || streams_.full()) return false;
  std::optional<LinkLoad> load = least_load(comer.group, Candidates::up_or_coming);
  if (!load || load->down || load->leaves) return false;
  Duration patience = policy->second.patience(load->bulk != 0);
  if (patience > Duration{}) comer.until = loop_.now() + patience;
  if (load->crowd == 0 && !load->busy) return false;
  if (!policy->second.opens_for_another(loop_.now())) return false;
  std::optional<ClientLanes::Opened> opened = lanes_.open(comer.group, loop_.now());
  if (!opened) return false;
  bool waits = patience > Duration{};
  order_lane(std::move(*opened), loop_.now() + kLaneComes, waits ? &comer : nullptr);
  return waits;
}

}  // namespace holdfast
