// What a reload changes of a link that lives.
#include <algorithm>

#include "common/core/link.h"

namespace holdfast {
namespace {

template <typename Services>
auto find_by_name(Services& services, std::string_view name) {
  return std::find_if(services.begin(), services.end(),
                      [name](const auto& service) { return service.name == name; });
}

// Records name a service by 16 bits.
constexpr std::size_t kMaxServices = UINT16_MAX;

}  // namespace

void Link::reconfigure(const LinkOptions& wanted) {
  take_options(wanted);
}

void LinkBody::take_options(const LinkOptions& wanted) {
  wanted_ = wanted;
  options_.handshake_timeout = wanted.handshake_timeout;
  options_.open_timeout = wanted.open_timeout;
  options_.max_window = wanted.max_window;
  options_.memory_cap = wanted.memory_cap;
  allow_memory(wanted.memory_cap);
  // Windows that have grown shrink to the largest one allowed now: what was promised to the peer
  // stays, the credit shrinks as it is used up. Who is paused for memory may have some now.
  for (SlotIndex slot = streams_.first(); slot != kNoSlot; slot = streams_.next(slot)) {
    streams_[slot].receive.shrink_window(options_.max_window);
    maybe_resume_reading(slot);
  }
  for (LinkService& service : options_.services) {
    auto own = find_by_name(wanted.services, service.name);
    service.offered = own != wanted.services.end();
    if (service.offered) service.by_destination = own->by_destination;
  }
  for (const LinkService& service : wanted.services) {
    bool known = find_by_name(options_.services, service.name) != options_.services.end();
    if (known || options_.services.size() >= kMaxServices) continue;
    // Its own grace is agreed on with the next carrier; a client may have been told it already.
    options_.services.push_back(service);
    options_.services.back().grace = agreed_grace(service);
  }
  keep_facts();
  // The server tells only what changes: a service that is new here may be down already.
  if (client() && down_) report_down();
}

void LinkBody::allow_memory(std::uint64_t cap) {
  for (LinkShare* share : {&send_share_, &receive_share_}) {
    share->cap = cap;
    if (share->together != nullptr) share->together->allow(cap);
  }
}

Duration LinkBody::agreed_grace(const LinkService& service) const {
  auto own = std::find_if(graces_.begin(), graces_.end(),
                          [&](const ServiceGrace& each) { return each.service == service.name; });
  return own == graces_.end() || service.by_destination ? options_.grace : own->grace;
}

// A new carrier: what was agreed on for the last one need not stand any longer. A client takes
// graces and the server's liveness from WELCOME, which comes later.
void LinkBody::agree_anew() {
  options_.heartbeat = wanted_.heartbeat;
  options_.dead_after = wanted_.dead_after;
  if (client()) return;
  options_.grace = wanted_.grace;
  options_.announce_liveness = wanted_.announce_liveness;
  options_.max_streams = wanted_.max_streams;
  options_.home = wanted_.home;
  if (options_.share != nullptr) options_.share->allow_streams(options_.max_streams);
  for (LinkService& service : options_.services) {
    auto own = find_by_name(wanted_.services, service.name);
    if (own != wanted_.services.end()) service.grace = own->grace;
  }
}

std::optional<std::uint16_t> LinkBody::find_service(std::string_view name) const {
  auto found = find_by_name(options_.services, name);
  if (found == options_.services.end() || !found->offered) return std::nullopt;
  return static_cast<std::uint16_t>(found - options_.services.begin());
}

void Link::reset_unoffered(Time now, Cause cause) {
  for (SlotIndex slot = streams_.first(); slot != kNoSlot;) {
    SlotIndex following = streams_.next(slot);
    if (!options_.services[streams_[slot].service].offered) reset_stream(now, slot, cause);
    slot = following;
  }
}

}  // namespace holdfast
