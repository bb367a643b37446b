#include "common/net/client_links.h"

#include <algorithm>

namespace holdfast {
namespace {

LinkLoad load_of(const ClientLink& link) {
  bool leaves = link.retiring() || link.link().draining();
  return {leaves, !link.link().live(), link.link().stream_count()};
}

}  // namespace

ClientLinks::ClientLinks(Loop& loop, std::vector<ClientLinkOptions> links, std::uint64_t memory,
                         std::uint32_t connections, StreamQuota& quota, Observer& observer,
                         ClientLink::Host& host)
    : loop_(loop),
      observer_(observer),
      host_(host),
      pool_(memory, connections, &quota),
      trimmer_(loop, pool_),
      resolver_(loop),
      closing_([this] { host_.wake(); }),
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

void ClientLinks::add(ClientLinkOptions options) {
  // Above every link's that this process ever had in the slot: those count up one by one.
  options.link.first_ordinal = static_cast<std::uint64_t>(loop_.now().time_since_epoch().count());
  links_.push_back(std::make_unique<ClientLink>(
      ClientSurroundings{loop_, pool_, resolver_, observer_, closing_, next_carrier_},
      std::move(options), host_));
}

ClientLink* ClientLinks::find(std::string_view name) {
  for (auto& link : links_) {
    if (link->name() == name && !link->leaving()) return link.get();
  }
  return nullptr;
}

ClientLink* ClientLinks::choose(std::string_view group) {
  ClientLink* best = nullptr;
  for (auto& link : links_) {
    if (link->group() != group || link->leaving()) continue;
    if (best == nullptr || load_of(*link) < load_of(*best)) best = link.get();
  }
  return best;
}

std::optional<LinkLoad> ClientLinks::load(std::string_view group) {
  const ClientLink* best = choose(group);
  if (best == nullptr) return std::nullopt;
  return load_of(*best);
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

bool ClientLinks::pump() {
  bool more = false;
  for (auto& link : links_) more = link->pump() || more;
  if (!leaving_) {
    std::erase_if(links_, [this](const auto& link) {
      if (!link->over()) return false;
      host_.lane_over(link->group(), link->lane(), link->slot_free_at());
      return true;
    });
  }
  closing_.sweep();
  return more;
}

void ClientLinks::reconfigure(std::vector<ClientLinkOptions> links, bool revoke) {
  for (auto& link : links_) {
    bool stays = std::any_of(links.begin(), links.end(),
                             [&](const auto& wanted) { return wanted.name == link->name(); });
    if (!stays) link->retire(revoke);
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
  link->retire(false);
  return true;
}

void ClientLinks::replace(std::string_view name, ClientLinkOptions successor) {
  add(std::move(successor));
  if (ClientLink* link = find(name); link != nullptr) link->retire_for(*links_.back());
}

bool ClientLinks::kill(const ConnectionName& connection) {
  return std::any_of(links_.begin(), links_.end(),
                     [&](auto& link) { return link->kill(connection); });
}

void ClientLinks::leave(Cause cause) {
  leaving_ = true;
  for (auto& link : links_) link->leave(cause);
}

bool ClientLinks::over() {
  closing_.sweep();
  return closing_.empty() &&
         std::all_of(links_.begin(), links_.end(), [](const auto& link) { return link->over(); });
}

std::size_t ClientLinks::stream_count() const {
  std::size_t count = 0;
  for (const auto& link : links_) count += link->link().stream_count();
  return count;
}

}  // namespace holdfast
