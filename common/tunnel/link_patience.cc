// Which sockets were silent, half closed or unanswered for too long: some of them at a time, as a
// look at each costs a question or two to the kernel.
#include <algorithm>

#include "common/tunnel/link_driver.h"

namespace holdfast {
namespace {

// Sockets of one look: some 100 us.
constexpr SlotIndex kLook = 128;
// All of them are looked at in an eighth of the shortest patience, but within these.
constexpr Duration kShortestRound = milliseconds(100);
constexpr Duration kLongestRound = seconds(30);

// In which all sockets are looked at.
Duration round_of(const std::vector<Patience>& patiences) {
  Duration shortest = 8 * kLongestRound;
  for (const Patience& each : patiences) {
    for (const auto& patience : {each.keepalive, each.idle, each.half_close}) {
      if (patience) shortest = std::min(shortest, *patience);
    }
  }
  return std::max(shortest / 8, kShortestRound);
}

bool is_half_closed(const StreamSummary& summary) {
  return has_fin(summary.own_end) || has_fin(summary.peer_end);
}

}  // namespace

Patience LinkDriver::patience(std::size_t service) const {
  const LinkService& known = link_.options().services[service];
  Patience patience = owner_.patience(known.name);
  patience.keepalive = keepalive_of(patience, known.grace);
  return patience;
}

std::vector<Patience> LinkDriver::patiences() const {
  std::vector<Patience> all(link_.options().services.size());
  for (std::size_t service = 0; service < all.size(); ++service) all[service] = patience(service);
  return all;
}

void LinkDriver::look_at_some() {
  std::vector<Patience> all = patiences();
  auto slots = static_cast<SlotIndex>(attachments_.size());
  SlotIndex end = look_at_ + std::min<SlotIndex>(kLook, slots - std::min(look_at_, slots));
  for (; look_at_ < end; ++look_at_) {
    if (attachments_[look_at_].bridge) look_at(attachments_[look_at_], all);
  }
  if (look_at_ >= slots) look_at_ = 0;
  if (link_.stream_count() != 0) look_later(all);
}

void LinkDriver::look_now() {
  if (link_.stream_count() == 0) return;
  look_at_ = 0;
  look_timer_.arm(loop_.now());
}

void LinkDriver::look_later(const std::vector<Patience>& patiences) {
  auto looks = static_cast<std::int64_t>(attachments_.size() / kLook + 1);
  look_timer_.arm(loop_.now() + round_of(patiences) / looks);
}

void LinkDriver::look_at(Attachment& attachment, const std::vector<Patience>& patiences) {
  StreamHandle stream;
  auto summary = link_.find_stream(loop_.now(), attachment.id, &stream);
  if (!summary) return;
  const Patience& patience = patiences[summary->service];
  if (attachment.keepalive != *patience.keepalive) {
    attachment.keepalive = *patience.keepalive;
    attachment.bridge->set_keepalive(attachment.keepalive);
  }
  if (attachment.bridge->has_vanished(attachment.keepalive)) return attachment.bridge->vanish();
  Cause cause = overdue(attachment, *summary, patience);
  if (cause == Cause::none) return;
  link_.reset(loop_.now(), stream, cause);
  touch();
}

// An outage is nobody's silence: time counts from when the link was live again.
Cause LinkDriver::overdue(Attachment& attachment, const StreamSummary& summary,
                          const Patience& patience) const {
  Time now = loop_.now();
  bool half = is_half_closed(summary);
  if (!half) attachment.half_closed = kNever;
  if (half && attachment.half_closed == kNever) attachment.half_closed = now;
  if (!link_.live() || summary.open_state != OpenState::open) return Cause::none;
  Duration silent = std::min(summary.idle, now - live_since_);
  if (half && patience.half_close &&
      std::min(silent, now - attachment.half_closed) >= *patience.half_close) {
    return Cause::half_close_timeout;
  }
  return patience.idle && silent >= *patience.idle ? Cause::idle_timeout : Cause::none;
}

}  // namespace holdfast
