#include "common/core/link_registry.h"

#include <algorithm>
#include <set>

namespace holdfast {
namespace {

// How soon a refused newcomer may ask again: the old link's silence may show by then.
constexpr Duration kDuplicateRetry = seconds(2);
constexpr Duration kLimitRetry = seconds(5);
// Ended links whose end is remembered, for clients that come back later.
constexpr std::size_t kMostPast = 1024;

bool same_process(const Hello& hello, std::uint64_t start_id) {
  return hello.start_id == start_id;
}

}  // namespace

LinkRegistry::LinkRegistry(RegistryOptions options, MemoryPool& pool, std::uint64_t seed,
                           LinkQuota* quota)
    : options_(std::move(options)), pool_(pool), quota_(quota), random_(seed) {}

LinkRegistry::Decision LinkRegistry::hello(Time now, CarrierId carrier, const ClientPolicy& client,
                                           HelloRequest request) {
  const Hello& hello = request.hello;
  if (hello.version_min > kVersionMax || hello.version_max < kVersionMin) {
    return Refused{Cause::version, kLimitRetry};
  }
  if (hello.name != client.name) return Refused{Cause::auth, kLimitRetry};
  auto found = links_.find(hello.link);
  bool known = found != links_.end() && !found->second.link->ended();
  if (known && found->second.client != client.name) return Refused{Cause::auth, kLimitRetry};
  if (known && found->second.link->leaving()) {
    // Rule 6: a link that says goodbye is over, its newest carrier or not.
    end_link(now, found->second, Cause::goodbye);
    known = false;
  }
  if (request.cut_short) {
    // Without its whole table nothing can be resumed, nor would it be the next time.
    if (known) end_link(now, found->second, Cause::protocol);
    return unknown(hello.link, client.name);
  }
  if (hello.instance != 0) {
    if (!known || found->second.link->instance() != hello.instance) {
      return unknown(hello.link, client.name);
    }
    return resume(now, carrier, found->second, request);
  }
  if (known) return resume(now, carrier, found->second, request);
  return create(now, carrier, client, std::move(request));
}

LinkRegistry::Unknown LinkRegistry::unknown(const LinkId& link, const std::string& client) const {
  auto entry = links_.find(link);
  if (entry != links_.end() && entry->second.link->ended() && entry->second.client == client) {
    Cause cause = entry->second.link->end_cause();
    return {tells_how_a_link_ended(cause) ? cause : Cause::none};
  }
  auto past = std::find_if(past_.rbegin(), past_.rend(), [&](const Past& each) {
    return each.link == link && each.client == client;
  });
  return {past != past_.rend() ? past->cause : Cause::none};
}

LinkRegistry::Decision LinkRegistry::resume(Time now, CarrierId carrier, Entry& entry,
                                            const HelloRequest& request) {
  if (request.hello.attempt <= entry.link->attempt()) return Stale{};
  entry.link->accept(now, carrier, request.hello, request.highest, request.table,
                     /*created=*/false);
  touch(*entry.link);
  return Accepted{entry.link.get(), false};
}

LinkRegistry::Decision LinkRegistry::create(Time now, CarrierId carrier, const ClientPolicy& client,
                                            HelloRequest request) {
  if (draining_) return Refused{Cause::draining, kLimitRetry};
  const Hello& hello = request.hello;
  for (Entry* each : entries_of(client.name)) {
    Entry& entry = *each;
    if (entry.slot != hello.slot || entry.link->ended()) continue;
    if (same_process(hello, entry.start_id)) {
      // The process replaced this link itself; an older HELLO of its came late.
      if (hello.ordinal <= entry.ordinal) return Stale{};
      end_link(now, entry, Cause::stale);
      continue;
    }
    if (entry.link->detached()) {
      succeed(now, entry);
      continue;
    }
    Time give_up_at = now + entry.link->liveness().patience();
    entry.link->doubt(now);
    touch(*entry.link);
    LinkId id = entry.link->id();
    waiters_.push_back({carrier, client, std::move(request), id, now, give_up_at});
    return Waiting{};
  }
  // The lanes of one link are one process's, also where the old one had none in this very slot.
  for (Entry* each : entries_of(client.name)) {
    bool lane = each->slot / kLanesOfALink == hello.slot / kLanesOfALink;
    if (!lane || same_process(hello, each->start_id) || each->link->ended()) continue;
    std::pair<std::string, std::uint64_t> process(client.name, each->start_id);
    if (std::find(gone_.begin(), gone_.end(), process) != gone_.end()) continue;
    gone_.push_back(process);
    process_gone(now, process.first, process.second);
  }
  return make(now, carrier, client, request);
}

LinkRegistry::Decision LinkRegistry::make(Time now, CarrierId carrier, const ClientPolicy& client,
                                          const HelloRequest& request) {
  auto ended = links_.find(request.hello.link);
  if (ended != links_.end()) return Refused{Cause::stale, kDuplicateRetry};
  if (!take_quota(client, request.hello.slot)) return Refused{Cause::limit, kLimitRetry};
  std::uint64_t instance = 0;
  while (instance == 0) instance = random_.next();
  Entry entry;
  entry.link = std::make_unique<Link>(options_for(client), pool_, request.hello.link, instance);
  entry.client = client.name;
  entry.slot = request.hello.slot;
  entry.start_id = request.hello.start_id;
  entry.ordinal = request.hello.ordinal;
  entry.counted = quota_ != nullptr;
  Link* link = entry.link.get();
  links_.emplace(request.hello.link, std::move(entry));
  by_client_[client.name].push_back(request.hello.link);
  link->accept(now, carrier, request.hello, request.highest, request.table, /*created=*/true);
  touch(*link);
  return Accepted{link, true};
}

LinkOptions LinkRegistry::options_for(const ClientPolicy& client) const {
  LinkOptions options = options_.link;
  options.role = LinkOptions::Role::server;
  options.name = options_.server_name;
  options.services = client.services;
  options.max_streams = std::min(options.max_streams, client.max_streams);
  options.memory_cap = client.memory_cap;
  options.share = quota_ != nullptr ? quota_->share(client.name) : nullptr;
  return options;
}

void LinkRegistry::reconfigure(
    RegistryOptions options,
    const std::function<const ClientPolicy*(const std::string& client)>& policy_of) {
  options_ = std::move(options);
  for (auto& [id, entry] : links_) {
    const ClientPolicy* policy = policy_of(entry.client);
    LinkOptions wanted = entry.link->options();
    wanted.services.clear();
    entry.link->reconfigure(policy != nullptr ? options_for(*policy) : wanted);
    touch(*entry.link);
  }
  // Who waits for a decision is decided about anew, as whoever comes now.
  std::erase_if(waiters_, [&](Waiter& waiter) {
    const ClientPolicy* policy = policy_of(waiter.client.name);
    if (policy != nullptr) waiter.client = *policy;
    return policy == nullptr;
  });
}

std::optional<LinkRegistry::Decision> LinkRegistry::decide(Time now, Waiter& waiter) {
  auto found = links_.find(waiter.in_the_way);
  bool gone = found == links_.end() || found->second.link->ended();
  if (!gone && !found->second.link->detached()) {
    if (found->second.link->liveness().last_heard() > waiter.asked_at) {
      return Refused{Cause::duplicate_name, kDuplicateRetry};
    }
    if (now < waiter.give_up_at) return std::nullopt;
  }
  if (!gone) succeed(now, found->second);
  // Anew from the start: other links of the slot, or the same link's later HELLO, may have come.
  return hello(now, waiter.carrier, waiter.client, std::move(waiter.request));
}

std::vector<std::pair<CarrierId, LinkRegistry::Decision>> LinkRegistry::poll(Time now) {
  std::vector<std::pair<CarrierId, Decision>> decisions;
  settle_doubts(now);
  std::vector<Waiter> waiters = std::move(waiters_);
  waiters_.clear();
  for (Waiter& waiter : waiters) {
    CarrierId carrier = waiter.carrier;
    std::optional<Decision> decision = decide(now, waiter);
    if (!decision) {
      waiters_.push_back(std::move(waiter));
    } else if (!std::holds_alternative<Waiting>(*decision)) {
      decisions.emplace_back(carrier, std::move(*decision));
    }
  }
  return decisions;
}

Time LinkRegistry::next_timeout() const {
  Time next = kNever;
  for (const Waiter& waiter : waiters_) next = std::min(next, waiter.give_up_at);
  for (const Doubt& doubt : doubts_) next = std::min(next, doubt.give_up_at);
  return next;
}

void LinkRegistry::carrier_gone(CarrierId carrier) {
  std::erase_if(waiters_, [&](const Waiter& waiter) { return waiter.carrier == carrier; });
}

void LinkRegistry::end_link(Time now, Entry& entry, Cause cause) {
  entry.link->end(now, cause);
  touch(*entry.link);
}

// Another process has taken the link's place: the one that it belonged to is gone.
void LinkRegistry::succeed(Time now, Entry& entry) {
  std::string client = entry.client;
  end_link(now, entry, Cause::client_restarted);
  gone_.emplace_back(client, entry.start_id);
  process_gone(now, client, entry.start_id);
}

void LinkRegistry::process_gone(Time now, const std::string& client, std::uint64_t start_id) {
  for (Entry* entry : entries_of(client)) {
    if (entry->start_id != start_id || entry->link->ended()) continue;
    if (entry->link->detached()) {
      end_link(now, *entry, Cause::client_restarted);
      continue;
    }
    LinkId id = entry->link->id();
    bool asked = std::any_of(doubts_.begin(), doubts_.end(),
                             [&](const Doubt& doubt) { return doubt.link == id; });
    if (asked) continue;
    doubts_.push_back({id, now, now + entry->link->liveness().patience()});
    entry->link->doubt(now);
    touch(*entry->link);
  }
}

void LinkRegistry::settle_doubts(Time now) {
  std::erase_if(doubts_, [&](const Doubt& doubt) {
    auto found = links_.find(doubt.link);
    if (found == links_.end() || found->second.link->ended()) return true;
    Link& link = *found->second.link;
    // What is heard meanwhile may be the last that the process sent, with its end behind it.
    if (!link.detached() && now < doubt.give_up_at) return false;
    if (!link.detached() && link.liveness().last_heard() > doubt.asked_at) return true;
    end_link(now, found->second, Cause::client_restarted);
    return true;
  });
}

std::vector<LinkRegistry::Entry*> LinkRegistry::entries_of(const std::string& client) {
  std::vector<Entry*> entries;
  auto ids = by_client_.find(client);
  if (ids == by_client_.end()) return entries;
  for (const LinkId& id : ids->second) entries.push_back(&links_.at(id));
  return entries;
}

void LinkRegistry::touch(Link& link) {
  touched_.push_back(link.id());
}

std::vector<Link*> LinkRegistry::take_touched() {
  std::vector<Link*> links;
  for (const LinkId& id : touched_) {
    if (Link* link = find(id); link != nullptr) links.push_back(link);
  }
  touched_.clear();
  return links;
}

Link* LinkRegistry::find(const LinkId& id) {
  auto found = links_.find(id);
  return found == links_.end() ? nullptr : found->second.link.get();
}

const std::string& LinkRegistry::client_of(const LinkId& id) const {
  auto found = links_.find(id);
  HOLDFAST_CHECK(found != links_.end());
  return found->second.client;
}

std::uint32_t LinkRegistry::slot_of(const LinkId& id) const {
  auto found = links_.find(id);
  HOLDFAST_CHECK(found != links_.end());
  return found->second.slot;
}

bool LinkRegistry::take_quota(const ClientPolicy& client, std::uint32_t slot) {
  // What has ended counts no more, though its last bytes may be on their way to a socket.
  std::set<std::uint32_t> others;
  for (Entry* entry : entries_of(client.name)) {
    if (!entry->link->ended()) others.insert(entry->slot / kLanesOfALink);
    if (entry->link->ended()) give_back(*entry);
  }
  others.erase(slot / kLanesOfALink);
  if (quota_ == nullptr) return others.size() < client.max_links;
  return quota_->take(client.name, slot, client.max_links);
}

void LinkRegistry::give_back(Entry& entry) {
  if (std::exchange(entry.counted, false)) quota_->give_back(entry.client, entry.slot);
}

void LinkRegistry::remove(const LinkId& id) {
  auto found = links_.find(id);
  if (found == links_.end()) return;
  HOLDFAST_CHECK(found->second.link->ended());
  give_back(found->second);
  Cause cause = found->second.link->end_cause();
  if (tells_how_a_link_ended(cause)) past_.push_back({id, found->second.client, cause});
  if (past_.size() > kMostPast) past_.pop_front();
  auto own = by_client_.find(found->second.client);
  std::erase(own->second, id);
  if (own->second.empty()) by_client_.erase(own);
  links_.erase(found);
}

Link* LinkRegistry::adopt(std::unique_ptr<Link> link, const LinkFacts& facts) {
  if (links_.count(facts.id) != 0) return nullptr;
  Entry entry;
  entry.link = std::move(link);
  entry.client = facts.client;
  entry.slot = facts.slot;
  entry.start_id = facts.start_id;
  entry.ordinal = facts.ordinal;
  // It had its place already: whatever the limit is now.
  entry.counted = quota_ != nullptr && quota_->take(facts.client, facts.slot, UINT32_MAX);
  by_client_[facts.client].push_back(facts.id);
  Link* adopted = entry.link.get();
  links_.emplace(facts.id, std::move(entry));
  touch(*adopted);
  return adopted;
}

void LinkRegistry::drain(Time now) {
  draining_ = true;
  for (auto& [id, entry] : links_) {
    entry.link->drain(now);
    touch(*entry.link);
  }
}

Buffer LinkRegistry::welcome_refused(const Refused& refused) const {
  Welcome welcome;
  welcome.verdict = Verdict::refused;
  welcome.code = refused.cause;
  welcome.retry_after = refused.retry_after;
  welcome.server = options_.server_name;
  Buffer out;
  encode_welcome(out, welcome);
  return out;
}

Buffer LinkRegistry::welcome_unknown(const Unknown& unknown) const {
  Welcome welcome;
  welcome.verdict = Verdict::unknown;
  welcome.code = unknown.why;
  welcome.server = options_.server_name;
  Buffer out;
  encode_welcome(out, welcome);
  return out;
}

}  // namespace holdfast
