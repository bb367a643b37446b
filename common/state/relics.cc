#include "common/state/relics.h"

#include <unistd.h>

#include <algorithm>

#include "common/state/inventory.h"
#include "common/state/socket_counters.h"

namespace holdfast {

void RecoveryTally::add(const Recovered& recovered) {
  links += 1;
  connections += recovered.streams.size();
  corrected += recovered.corrected;
  lost += recovered.lost.size();
}

std::unique_ptr<Relics> Relics::take(int root, const StateOwner& owner,
                                     const std::vector<int>& not_its) {
  std::unique_ptr<Relics> relics(new Relics());
  std::vector<int> open = list_descriptors();
  if (root >= 0) {
    auto found = OldRoot::open(root);
    if (found) relics->root_.emplace(std::move(*found));
    if (!found) relics->objection_ = found.error().message;
  }
  if (relics->root_) relics->read_states(owner);
  if (relics->usable()) relics->name_sockets();
  relics->sort_out(open, not_its);
  return relics;
}

void Relics::read_states(const StateOwner& owner) {
  objection_ = root_->objection(owner);
  for (const OldRoot::Region& each : root_->regions()) {
    if (!objection_.empty()) break;
    auto state = OldState::read(each.bytes);
    if (state) states_.push_back(std::move(*state));
    if (!state) objection_ = state.error().message;
  }
  if (!objection_.empty()) states_.clear();
}

std::vector<LinkRelic> Relics::links() {
  std::vector<LinkRelic> links;
  for (const OldState& state : states_) {
    for (const OldState::Link& each : state.links()) links.push_back({this, &state, &each});
  }
  return links;
}

std::map<std::string, std::uint32_t> Relics::connections() const {
  std::map<std::string, std::uint32_t> connections;
  for (const OldState& state : states_) {
    for (const OldState::Link& each : state.links()) {
      auto count = static_cast<std::uint32_t>(each.streams.size());
      connections[""] += count;
      if (!each.facts.client.empty()) connections[each.facts.client] += count;
    }
  }
  return connections;
}

void Relics::name_sockets() {
  std::set<int> doubtful;
  auto name = [&](int descriptor) {
    if (descriptor < 0) return;
    if (!named_.insert(descriptor).second) doubtful.insert(descriptor);
  };
  for (const OldState& state : states_) {
    for (const OldState::Link& link : state.links()) {
      for (const OldState::Stream& stream : link.streams) name(stream.record->descriptor());
    }
    for (int each : state.leftovers()) name(each);
    closing_ = closing_ || state.closes();
  }
  judge_ = std::make_unique<KernelJudge>(std::move(doubtful));
}

void Relics::sort_out(const std::vector<int>& open, const std::vector<int>& not_its) {
  std::set<int> kept(not_its.begin(), not_its.end());
  if (usable()) {
    kept.insert(root_->descriptor());
    for (const OldRoot::Region& each : root_->regions()) kept.insert(each.descriptor);
  }
  std::vector<int> gone;
  for (int each : open) {
    if (kept.count(each) != 0 || named_.count(each) != 0) continue;
    DescriptorKind kind = kind_of_descriptor(each);
    // First, since they hold on to what they watch.
    if (kind == DescriptorKind::poller) {
      close(each);
    } else if (usable() && kind == DescriptorKind::listener) {
      listeners_.add(Descriptor(each));
    } else if (usable() && kind == DescriptorKind::connection) {
      unnamed_.insert(each);
    } else {
      gone.push_back(each);
    }
  }
  for (int each : gone) close_leftover(each);
  if (!usable()) root_.reset();
}

Descriptor Relics::take_socket(int descriptor) {
  return named_.erase(descriptor) != 0 ? Descriptor(descriptor) : Descriptor();
}

// One whose end came may have been about to be closed in order, as its linger says: it was over,
// and is not opened again. One that was about to be reset is: nothing was said over it yet.
std::vector<Descriptor> Relics::take_fresh() {
  std::vector<Descriptor> fresh;
  for (int each : std::exchange(unnamed_, {})) {
    bool is_unix = SocketAddress::own_of(each).is_unix();
    std::optional<SocketCounters> counters = is_unix ? std::nullopt : read_counters(each);
    bool untouched = counters && !counters->closed && counters->read == 0 &&
                     counters->written == 0 && !counters->fin_out;
    // A Unix socket whose bytes are not counted yet has no stream.
    if (is_unix) untouched = !read_of_unix(each);
    bool over = closing_ && (is_unix || (counters->fin_came && !resets_at_close(each)));
    if (untouched && !over) {
      fresh.emplace_back(each);
    } else {
      close_leftover(each);
    }
  }
  return fresh;
}

void Relics::close_rest() {
  for (int each : std::exchange(named_, {})) close_leftover(each);
  for (int each : std::exchange(unnamed_, {})) close_leftover(each);
  listeners_.clear();
  if (!root_) return;
  std::vector<int> memory{root_->descriptor()};
  for (const OldRoot::Region& each : root_->regions()) memory.push_back(each.descriptor);
  states_.clear();
  root_.reset();
  for (int each : memory) close(each);
}

}  // namespace holdfast
