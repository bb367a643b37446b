#include "client-agent/loop_watch.h"

#include <algorithm>

namespace holdfast {
namespace {

// One that can be no other counts twice.
constexpr unsigned kEnough = 8;

}  // namespace

LoopWatch::Index LoopWatch::index_of(std::string_view service) {
  auto known = indexes_.find(service);
  if (known != indexes_.end()) return known->second;
  auto index = static_cast<Index>(services_.size());
  services_.push_back({std::string(service), {}, {}});
  indexes_.emplace(service, index);
  return index;
}

// It may have been taken because of a stream whose mark came at `at`.
bool LoopWatch::fits(const Taken& taken, Time not_before, Time at) {
  return taken.at > not_before && taken.at + kNoted >= at && taken.at <= at + kLate;
}

LoopWatch::Found LoopWatch::accepted(std::string_view service, const Mark& mark, Time now) {
  if (mark.value == 0) return std::nullopt;
  std::lock_guard lock(mutex_);
  if (taken_.empty()) taken_.resize(kPlaces);
  Taken& taken = taken_[mark.value % kPlaces];
  // Offered again, since there was no room for it: it came when it came first.
  if (taken.mark == mark.value && now <= taken.at + kNoted) return std::nullopt;
  taken = {mark.value, now, index_of(service), mark.unique};
  if (made_.empty()) return std::nullopt;
  const Made& made = made_[mark.value % kPlaces];
  if (made.mark != mark.value) return std::nullopt;
  for (Seen& seen : services_[made.service].seen) {
    if (seen.mark != mark.value || seen.feeds != kNowhere) continue;
    if (!fits(taken, seen.not_before, seen.at)) continue;
    seen.feeds = taken.service;
    seen.unique = taken.unique;
    return find_loop(made.service, now);
  }
  return std::nullopt;
}

LoopWatch::Answer LoopWatch::connected(std::string_view service, std::uint64_t mark,
                                       Time not_before, Time now) {
  Answer answer;
  std::lock_guard lock(mutex_);
  Index index = index_of(service);
  Seen seen{mark, not_before, now, kNowhere, false};
  const Taken* taken = taken_.empty() ? nullptr : &taken_[mark % kPlaces];
  if (taken != nullptr && taken->mark == mark && fits(*taken, not_before, now)) {
    seen.feeds = taken->service;
    seen.unique = taken->unique;
    answer.feeds = true;
  }
  Service& of = services_[index];
  if (now >= of.refused_until) {
    of.seen.push_back(seen);
    if (of.seen.size() > kSeen) of.seen.pop_front();
    if (made_.empty()) made_.resize(kPlaces);
    made_[mark % kPlaces] = {mark, index};
    if (answer.feeds) answer.found = find_loop(index, now);
  }
  answer.loop = answer.feeds && now < of.refused_until;
  return answer;
}

bool LoopWatch::refuses(std::string_view service, Time now) {
  std::lock_guard lock(mutex_);
  auto known = indexes_.find(service);
  return known != indexes_.end() && now < services_[known->second].refused_until;
}

// The one that the newest mark says, if enough others agree.
LoopWatch::Index LoopWatch::fed_by(Index service, Time now) const {
  const std::deque<Seen>& seen = services_[service].seen;
  auto newest = std::find_if(seen.rbegin(), seen.rend(),
                             [](const Seen& each) { return each.feeds != kNowhere; });
  if (newest == seen.rend()) return kNowhere;
  std::size_t all = 0;
  std::size_t fit = 0;
  unsigned weight = 0;
  for (const Seen& each : seen) {
    if (each.at + kMemory < now) continue;
    all += 1;
    if (each.feeds != newest->feeds) continue;
    fit += 1;
    weight += each.unique ? 2 : 1;
  }
  return weight >= kEnough && fit * 4 >= all * 3 ? newest->feeds : kNowhere;
}

// From one service to the one that it feeds, until the first one comes again.
LoopWatch::Found LoopWatch::find_loop(Index from, Time now) {
  std::vector<Index> way = {from};
  while (way.size() <= services_.size()) {
    Index next = fed_by(way.back(), now);
    if (next == kNowhere) return std::nullopt;
    if (next == from) break;
    way.push_back(next);
  }
  if (way.size() > services_.size()) return std::nullopt;  // it only leads into a circle
  std::string text;
  for (Index each : way) {
    text += services_[each].name + " -> ";
    services_[each].seen.clear();
    services_[each].refused_until = now + kRefused;
  }
  return text + services_[from].name;
}

}  // namespace holdfast
