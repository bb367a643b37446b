#include "common/admin/history.h"

#include <algorithm>
#include <utility>

namespace holdfast {
namespace {

std::string kept_text(std::string_view text) {
  return std::string(text.substr(0, kMostTextBytes));
}

// What was counted since `before`, which then becomes `total`.
std::uint64_t risen(std::uint64_t& before, std::uint64_t total) {
  std::uint64_t rise = total > before ? total - before : 0;
  before = total;
  return rise;
}

template <typename T>
std::vector<T> all_of(const Ring<T>& ring) {
  std::vector<T> out;
  out.reserve(ring.size());
  for (std::size_t i = 0; i < ring.size(); ++i) out.push_back(ring[i]);
  return out;
}

std::vector<HistorySample> after(const Ring<HistorySample>& ring, Time since) {
  std::size_t first = ring.size();
  while (first > 0 && ring[first - 1].at > since) --first;
  std::vector<HistorySample> out;
  out.reserve(ring.size() - first);
  for (std::size_t i = first; i < ring.size(); ++i) out.push_back(ring[i]);
  return out;
}

}  // namespace

std::string_view to_string(Outage::Result result) {
  switch (result) {
    case Outage::Result::running:
      return "running";
    case Outage::Result::heard:
      return "heard";
    case Outage::Result::resumed:
      return "resumed";
    case Outage::Result::ended:
      return "ended";
  }
  return "invalid";
}

// --- Samples --------------------------------------------------------------------------------

void History::observe(Time now, const Measurement& reading) {
  HistorySample sample;
  sample.at = now;
  sample.span = now - last_at_;
  if (sample.span <= Duration{}) return;
  sample.bytes_up = risen(total_up_, reading.bytes_up + gone_up_);
  sample.bytes_down = risen(total_down_, reading.bytes_down + gone_down_);
  sample.connections = reading.connections;
  sample.detached = reading.detached;
  sample.round_trip = reading.round_trip;
  bool changed = sample.bytes_up != 0 || sample.bytes_down != 0 || reading.links_down != 0 ||
                 reading.connections != last_.connections;
  if (changed) changed_at_ = now;
  last_at_ = now;
  last_ = reading;
  recent_.push(sample);
  merge(sample);
  for (const Measurement::Link& link : reading.links) {
    Outage* outage = last_outage(link.id);
    if (outage == nullptr || link.replayed_bytes < outage->replayed_before) continue;
    outage->replayed_bytes = link.replayed_bytes - outage->replayed_before;
  }
}

void History::merge(const HistorySample& sample) {
  merging_.at = sample.at;
  merging_.span += sample.span;
  merging_.bytes_up += sample.bytes_up;
  merging_.bytes_down += sample.bytes_down;
  merging_.connections = std::max(merging_.connections, sample.connections);
  merging_.detached = std::max(merging_.detached, sample.detached);
  merging_.round_trip = std::max(merging_.round_trip, sample.round_trip);
  // Timers are late by some milliseconds, never early: nine and a half samples are ten.
  if (merging_.span < kQuietInterval - kBusyInterval / 2) return;
  older_.push(merging_);
  merging_ = {};
}

Duration History::wanted_interval(Time now) const {
  bool busy = now - changed_at_ < kQuietAfter || now - asked_at_ < kLookedAtFor;
  return busy ? kBusyInterval : kQuietInterval;
}

HistoryView History::view(Time now, Time since) const {
  HistoryView view;
  view.now = now;
  view.recent = after(recent_, since);
  view.older = after(older_, since);
  view.lives = lives_;
  view.outages = all_of(outages_);
  view.endings = all_of(endings_);
  return view;
}

// --- Links ----------------------------------------------------------------------------------

LinkLife* History::life(const LinkId& link) {
  auto found = std::find_if(lives_.rbegin(), lives_.rend(),
                            [&](const LinkLife& one) { return one.link == link; });
  return found == lives_.rend() ? nullptr : &*found;
}

// The last one of the link, whatever became of it: what it replays comes after its end.
Outage* History::last_outage(const LinkId& link) {
  for (std::size_t i = outages_.size(); i > 0; --i) {
    if (outages_[i - 1].link == link) return &outages_[i - 1];
  }
  return nullptr;
}

// Lives that are over go first.
void History::add_life(LinkLife added) {
  if (lives_.size() >= kMostLives) {
    auto over = std::find_if(lives_.begin(), lives_.end(),
                             [](const LinkLife& one) { return one.ended != kNever; });
    lives_.erase(over == lives_.end() ? lives_.begin() : over);
  }
  lives_.push_back(std::move(added));
}

void History::link_up(Time now, const LinkId& link, std::string_view peer, std::string_view name) {
  changed_at_ = now;
  add_life({link, kept_text(name), kept_text(peer), now, kNever, Cause::none});
}

Outage* History::running_outage(const LinkId& link) {
  Outage* outage = last_outage(link);
  bool running = outage != nullptr && outage->result == Outage::Result::running;
  return running ? outage : nullptr;
}

Outage& History::begin_outage(Time since, const LinkId& link, std::string_view peer,
                              std::uint32_t connections, std::uint64_t replayed_bytes) {
  Outage* before = last_outage(link);
  if (before != nullptr && replayed_bytes >= before->replayed_before) {
    before->replayed_bytes = replayed_bytes - before->replayed_before;
  }
  Outage outage;
  outage.link = link;
  if (const LinkLife* alive = life(link)) outage.name = alive->name;
  outage.peer = kept_text(peer);
  outage.began = since;
  outage.connections = connections;
  outage.replayed_before = replayed_bytes;
  outages_.push(std::move(outage));
  return *last_outage(link);
}

void History::link_silent(Time since, const LinkId& link, std::string_view peer,
                          std::uint32_t connections, std::uint64_t replayed_bytes) {
  changed_at_ = std::max(changed_at_, since);
  if (running_outage(link) == nullptr) {
    begin_outage(since, link, peer, connections, replayed_bytes);
  }
}

void History::link_down(Time since, const LinkId& link, std::string_view peer, Cause cause,
                        std::uint32_t connections, std::uint64_t replayed_bytes) {
  changed_at_ = std::max(changed_at_, since);
  Outage* outage = running_outage(link);
  if (outage == nullptr) {
    outage = &begin_outage(since, link, peer, connections, replayed_bytes);
  }
  outage->cause = cause;
  outage->connections = connections;
}

void History::end_outage(Time now, const LinkId& link, Outage::Result result,
                         std::uint32_t connections) {
  changed_at_ = now;
  Outage* outage = running_outage(link);
  if (outage == nullptr) return;
  outage->ended = now;
  outage->result = result;
  outage->resumed = connections;
}

void History::link_heard(Time now, const LinkId& link, std::uint32_t connections) {
  end_outage(now, link, Outage::Result::heard, connections);
}

void History::link_resumed(Time now, const LinkId& link, std::uint32_t connections) {
  end_outage(now, link, Outage::Result::resumed, connections);
}

void History::link_ended(Time now, const LinkId& link, Cause cause, std::uint64_t bytes_up,
                         std::uint64_t bytes_down) {
  changed_at_ = now;
  gone_up_ += bytes_up;
  gone_down_ += bytes_down;
  if (LinkLife* ended = life(link)) {
    ended->ended = now;
    ended->cause = cause;
  }
  Outage* outage = running_outage(link);
  if (outage == nullptr) return;
  outage->ended = now;
  outage->result = Outage::Result::ended;
  outage->end_cause = cause;
}

bool History::remembers(Cause cause) {
  return cause != Cause::client_fin && cause != Cause::target_fin && cause != Cause::client_rst &&
         cause != Cause::target_rst;
}

void History::connection_closed(Ending ending) {
  if (!remembers(ending.cause)) return;
  ending.service = kept_text(ending.service);
  ending.client = kept_text(ending.client);
  endings_.push(std::move(ending));
}

}  // namespace holdfast
