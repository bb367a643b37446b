#include "common/io/listener_set.h"

#include <algorithm>

#include "common/io/socket_file.h"

namespace holdfast {
namespace {

// Between two tries of an address that cannot be had.
constexpr Duration kFirstPause = seconds(1);
constexpr Duration kLongestPause = seconds(15);
// A name that is listened on is looked up again after this: its address may move.
constexpr Duration kNameInterval = seconds(60);

bool same_address(const ListenerSet::Wanted& one, const ListenerSet::Wanted& other) {
  return one.address == other.address && one.transparent == other.transparent;
}

// The name that must be resolved before the address can be bound; nothing: it is none.
std::optional<HostPort> name_of(const NetListenAddress& address) {
  const auto* tcp = std::get_if<HostPort>(&address);
  if (tcp == nullptr || tcp->host == kEveryAddress || SocketAddress::literal(*tcp)) {
    return std::nullopt;
  }
  return *tcp;
}

// A connection that is bound to `at` came to a listener there.
bool takes(const SocketAddress& listener, const SocketAddress& at) {
  if (listener.is_unix() || at.is_unix()) return listener.to_string() == at.to_string();
  auto address = ip_of(listener.endpoint());
  bool every = address && (*address == *ip_of(SocketAddress::literal({"0.0.0.0", 0})->endpoint()) ||
                           *address == *ip_of(SocketAddress::literal({"::", 0})->endpoint()));
  return listener == at || (every && listener.family() == at.family() &&
                            listener.endpoint().port == at.endpoint().port);
}

}  // namespace

Duration next_listen_pause(Duration last) {
  return last == Duration{} ? kFirstPause : std::min(last * 2, kLongestPause);
}

ListenerSet::ListenerSet(Loop& loop, Resolver& resolver, const DescriptorBudget& budget,
                         Listener::Handler& handler, ListenerObserver& observer, Tune tune,
                         std::function<void()> changed)
    : loop_(loop),
      resolver_(resolver),
      budget_(budget),
      handler_(handler),
      observer_(observer),
      tune_(tune),
      changed_(std::move(changed)),
      timer_(loop.timers(), [this] { retry(); }) {}

std::vector<SocketAddress> ListenerSet::Entry::addresses() const {
  std::vector<SocketAddress> all;
  for (const auto& listener : listeners) all.push_back(listener->address());
  return all;
}

bool ListenerSet::Entry::stands_at(const SocketAddress& address) const {
  return std::any_of(listeners.begin(), listeners.end(),
                     [&](const auto& listener) { return listener->address() == address; });
}

ListenerSet::Entry* ListenerSet::find(const Wanted& wanted) {
  auto found = std::find_if(entries_.begin(), entries_.end(),
                            [&](const auto& entry) { return same_address(entry->wanted, wanted); });
  return found == entries_.end() ? nullptr : found->get();
}

// With the addresses that the name had last, beside those that stand already.
Status ListenerSet::bind(Entry& entry) {
  const Wanted& wanted = entry.wanted;
  BindOptions options{wanted.transparent, wanted.freebind, wanted.mptcp, {},
                      wanted.access,      inherited_};
  if (auto name = name_of(wanted.address)) {
    auto known = resolver_.known(*name);
    if (!known) {
      std::string why = resolver_.failure(*name);
      return Error{"cannot listen on " + to_string(wanted.address) + ": " +
                   (why.empty() ? "its name is not resolved yet" : why)};
    }
    options.of_name = std::move(known->addresses);
    std::erase_if(options.of_name, [&](const auto& each) { return entry.stands_at(each); });
  }
  auto sockets = bind_sockets(wanted.address, tune_, options);
  if (!sockets) return sockets.error();
  for (BoundSocket& socket : *sockets) {
    entry.listeners.push_back(std::make_unique<Listener>(loop_, std::move(socket), wanted.tag,
                                                         budget_, handler_, observer_));
  }
  return Ok{};
}

// One that overlaps a leaving address can only be had once that is closed: then all leaving ones go
// first. `gone` are these.
Status ListenerSet::bind_over(Entry& entry, Entries& leaving, std::vector<Wanted>& gone) {
  Status bound = bind(entry);
  if (bound || leaving.empty()) return bound;
  for (auto& each : leaving) {
    gone.push_back(each->wanted);
    for (auto& listener : each->listeners) listener->accept_rest();
  }
  leaving.clear();
  return bind(entry);
}

// Listens where the name leads now. What it led to before stays until something of that stands.
Status ListenerSet::follow_name(Entry& entry) {
  auto known = resolver_.known(*name_of(entry.wanted.address));
  if (!known) return Ok{};
  const std::vector<SocketAddress>& now = known->addresses;
  bool all = std::all_of(now.begin(), now.end(),
                         [&](const SocketAddress& each) { return entry.stands_at(each); });
  Status bound = all ? Status(Ok{}) : bind(entry);
  auto is_of_name = [&](const auto& listener) {
    return std::find(now.begin(), now.end(), listener->address()) != now.end();
  };
  auto gone = std::stable_partition(entry.listeners.begin(), entry.listeners.end(), is_of_name);
  if (gone == entry.listeners.begin()) return bound;
  std::for_each(gone, entry.listeners.end(), [](auto& listener) { listener->accept_rest(); });
  entry.listeners.erase(gone, entry.listeners.end());
  return Ok{};
}

// All of them or none.
Status ListenerSet::give_files(const std::vector<Wanted>& wanted, std::vector<Given>& given) {
  for (const Wanted& one : wanted) {
    Entry* entry = find(one);
    const auto* unix_socket = std::get_if<UnixPath>(&one.address);
    if (entry == nullptr || unix_socket == nullptr || entry->wanted.access == one.access) continue;
    Status done = entry->listeners.empty()
                      ? Status(Ok{})
                      : set_socket_access(unix_socket->path, one.access, entry->wanted.access);
    if (!done) {
      take_back(given);
      return Error{to_string(one.address) + ": " + done.error().message};
    }
    given.push_back({entry, std::exchange(entry->wanted.access, one.access)});
  }
  return Ok{};
}

void ListenerSet::take_back(const std::vector<Given>& given) {
  for (const Given& each : given) {
    const SocketAccess now = std::exchange(each.entry->wanted.access, each.before);
    if (each.entry->listeners.empty()) continue;
    (void)set_socket_access(std::get<UnixPath>(each.entry->wanted.address).path, each.before, now);
  }
}

Status ListenerSet::set(const std::vector<Wanted>& wanted) {
  std::vector<Given> given;
  if (Status done = give_files(wanted, given); !done) return done;
  auto stays = [&](const auto& entry) {
    return std::any_of(wanted.begin(), wanted.end(),
                       [&](const Wanted& one) { return same_address(one, entry->wanted); });
  };
  auto first_leaving = std::stable_partition(entries_.begin(), entries_.end(), stays);
  Entries leaving(std::make_move_iterator(first_leaving), std::make_move_iterator(entries_.end()));
  entries_.erase(first_leaving, entries_.end());
  Entries fresh;
  std::vector<Wanted> gone;
  for (const Wanted& one : wanted) {
    bool twice = std::any_of(fresh.begin(), fresh.end(),
                             [&](const auto& entry) { return same_address(entry->wanted, one); });
    if (twice || find(one) != nullptr) continue;
    auto entry = std::make_unique<Entry>();
    entry->wanted = one;
    Status bound = bind_over(*entry, leaving, gone);
    if (!bound && one.required) {
      fresh.clear();
      take_back(given);
      std::move(leaving.begin(), leaving.end(), std::back_inserter(entries_));
      put_back(gone);
      return bound;
    }
    if (!bound) entry->failure = bound.error().message;
    fresh.push_back(std::move(entry));
  }
  for (auto& entry : leaving) {
    for (auto& listener : entry->listeners) listener->accept_rest();
  }
  leaving.clear();
  for (auto& entry : fresh) {
    Entry& kept = *entries_.emplace_back(std::move(entry));
    if (kept.listeners.empty()) failed(kept, std::exchange(kept.failure, ""));
    auto name = name_of(kept.wanted.address);
    if (name && !resolver_.known(*name)) try_again(kept);
    if (name && !kept.listeners.empty()) kept.again = loop_.now() + kNameInterval;
  }
  for (const Wanted& one : wanted) {
    Entry& entry = *find(one);
    entry.wanted = one;
    for (auto& listener : entry.listeners) listener->set_tag(one.tag);
    if (name_of(one.address) && !entry.listeners.empty() && !entry.question) complete(entry);
  }
  arm();
  changed_();
  return Ok{};
}

void ListenerSet::put_back(const std::vector<Wanted>& gone) {
  for (const Wanted& each : gone) {
    auto entry = std::make_unique<Entry>();
    entry->wanted = each;
    Status bound = bind(*entry);
    Entry& kept = *entries_.emplace_back(std::move(entry));
    if (!bound) failed(kept, bound.error().message);
  }
  arm();
  changed_();
}

void ListenerSet::clear() {
  entries_.clear();
  timer_.cancel();
  changed_();
}

// Who comes to a transparent listener is bound to where it meant to go.
void ListenerSet::adopt(Descriptor& socket) {
  SocketAddress at = SocketAddress::own_of(socket.get());
  for (bool transparent : {false, true}) {
    for (auto& entry : entries_) {
      if (entry->wanted.transparent != transparent) continue;
      for (auto& listener : entry->listeners) {
        if (!socket.valid()) return;
        if (transparent || takes(listener->address(), at)) listener->adopt(socket);
      }
    }
  }
}

// --- What cannot be had -----------------------------------------------------------------------

void ListenerSet::failed(Entry& entry, const std::string& reason) {
  entry.pause = next_listen_pause(entry.pause);
  entry.again = loop_.now() + entry.pause;
  if (entry.failure == reason) return;
  entry.failure = reason;
  observer_.listen_failed(to_string(entry.wanted.address), reason);
}

void ListenerSet::try_again(Entry& entry) {
  auto name = name_of(entry.wanted.address);
  if (!name) return complete(entry);
  entry.again = kNever;
  entry.question = std::make_unique<Resolver::Question>(
      resolver_, *name,
      [this, &entry](const Resolver::Answer& answer) { answered(entry, answer); });
}

// Also when it failed: the addresses that the name had last may be there to listen on by now.
void ListenerSet::answered(Entry& entry, const Resolver::Answer&) {
  entry.question.reset();
  complete(entry);
  arm();
}

// Binds what is missing of it.
void ListenerSet::complete(Entry& entry) {
  std::vector<SocketAddress> before = entry.addresses();
  Status bound = before.empty() ? bind(entry) : follow_name(entry);
  if (!bound) return failed(entry, bound.error().message);
  bool news = !entry.failure.empty() || entry.addresses() != before;
  entry.pause = {};
  entry.again = name_of(entry.wanted.address) ? loop_.now() + kNameInterval : kNever;
  entry.failure.clear();
  if (!news) return;
  observer_.listening(to_string(entry.wanted.address));
  changed_();
}

void ListenerSet::retry() {
  for (auto& entry : entries_) {
    if (entry->again <= loop_.now()) try_again(*entry);
  }
  arm();
}

void ListenerSet::arm() {
  timer_.arm(next_try());
}

Time ListenerSet::next_try() const {
  Time at = kNever;
  for (const auto& entry : entries_) at = std::min(at, entry->again);
  return at;
}

// --- What there is ----------------------------------------------------------------------------

void ListenerSet::resume() {
  for (auto& entry : entries_) {
    for (auto& listener : entry->listeners) listener->resume();
  }
}

std::vector<SocketAddress> ListenerSet::addresses() const {
  std::vector<SocketAddress> addresses;
  for (const auto& entry : entries_) {
    for (const SocketAddress& each : entry->addresses()) addresses.push_back(each);
  }
  return addresses;
}

std::vector<std::string> ListenerSet::names() const {
  std::vector<std::string> names;
  for (const auto& entry : entries_) {
    for (const auto& listener : entry->listeners) names.push_back(listener->name());
  }
  return names;
}

std::vector<ListenFailure> ListenerSet::failures() const {
  std::vector<ListenFailure> failures;
  for (const auto& entry : entries_) {
    if (!entry->failure.empty())
      failures.push_back({to_string(entry->wanted.address), entry->failure});
  }
  return failures;
}

}  // namespace holdfast
