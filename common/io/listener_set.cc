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

std::vector<SocketAddress> ListenerSet::Place::addresses() const {
  std::vector<SocketAddress> all;
  for (const auto& listener : listeners) all.push_back(listener->address());
  return all;
}

bool ListenerSet::Place::stands_at(const SocketAddress& address) const {
  return std::any_of(listeners.begin(), listeners.end(),
                     [&](const auto& listener) { return listener->address() == address; });
}

ListenerSet::Place* ListenerSet::find(const Wanted& wanted) {
  auto found = std::find_if(places_.begin(), places_.end(),
                            [&](const auto& place) { return same_address(place->wanted, wanted); });
  return found == places_.end() ? nullptr : found->get();
}

// With the addresses that the name had last, beside those that stand already.
Status ListenerSet::bind(Place& place) {
  const Wanted& wanted = place.wanted;
  BindOptions options{wanted.transparent, wanted.freebind, wanted.mptcp, {}, wanted.access};
  if (auto name = name_of(wanted.address)) {
    auto known = resolver_.known(*name);
    if (!known) {
      std::string why = resolver_.failure(*name);
      return Error{"cannot listen on " + to_string(wanted.address) + ": " +
                   (why.empty() ? "its name is not resolved yet" : why)};
    }
    options.of_name = std::move(known->addresses);
    std::erase_if(options.of_name, [&](const auto& each) { return place.stands_at(each); });
  }
  auto sockets = bind_sockets(wanted.address, tune_, options);
  if (!sockets) return sockets.error();
  for (BoundSocket& socket : *sockets) {
    place.listeners.push_back(std::make_unique<Listener>(loop_, std::move(socket), wanted.tag,
                                                         budget_, handler_, observer_));
  }
  return Ok{};
}

// One that overlaps a leaving address can only be had once that is closed: then all leaving ones go
// first. `gone` are these.
Status ListenerSet::bind_over(Place& place, Places& leaving, std::vector<Wanted>& gone) {
  Status bound = bind(place);
  if (bound || leaving.empty()) return bound;
  for (auto& each : leaving) {
    gone.push_back(each->wanted);
    for (auto& listener : each->listeners) listener->accept_rest();
  }
  leaving.clear();
  return bind(place);
}

// Listens where the name leads now. What it led to before stays until something of that stands.
Status ListenerSet::follow_name(Place& place) {
  auto known = resolver_.known(*name_of(place.wanted.address));
  if (!known) return Ok{};
  const std::vector<SocketAddress>& now = known->addresses;
  bool all = std::all_of(now.begin(), now.end(),
                         [&](const SocketAddress& each) { return place.stands_at(each); });
  Status bound = all ? Status(Ok{}) : bind(place);
  auto is_of_name = [&](const auto& listener) {
    return std::find(now.begin(), now.end(), listener->address()) != now.end();
  };
  auto gone = std::stable_partition(place.listeners.begin(), place.listeners.end(), is_of_name);
  if (gone == place.listeners.begin()) return bound;
  std::for_each(gone, place.listeners.end(), [](auto& listener) { listener->accept_rest(); });
  place.listeners.erase(gone, place.listeners.end());
  return Ok{};
}

// All of them or none.
Status ListenerSet::give_files(const std::vector<Wanted>& wanted, std::vector<Given>& given) {
  for (const Wanted& one : wanted) {
    Place* place = find(one);
    const auto* unix_socket = std::get_if<UnixPath>(&one.address);
    if (place == nullptr || unix_socket == nullptr || place->wanted.access == one.access) continue;
    Status done = place->listeners.empty()
                      ? Status(Ok{})
                      : set_socket_access(unix_socket->path, one.access, place->wanted.access);
    if (!done) {
      take_back(given);
      return Error{to_string(one.address) + ": " + done.error().message};
    }
    given.push_back({place, std::exchange(place->wanted.access, one.access)});
  }
  return Ok{};
}

void ListenerSet::take_back(const std::vector<Given>& given) {
  for (const Given& each : given) {
    const SocketAccess now = std::exchange(each.place->wanted.access, each.before);
    if (each.place->listeners.empty()) continue;
    (void)set_socket_access(std::get<UnixPath>(each.place->wanted.address).path, each.before, now);
  }
}

Status ListenerSet::set(const std::vector<Wanted>& wanted) {
  std::vector<Given> given;
  if (Status done = give_files(wanted, given); !done) return done;
  auto stays = [&](const auto& place) {
    return std::any_of(wanted.begin(), wanted.end(),
                       [&](const Wanted& one) { return same_address(one, place->wanted); });
  };
  auto first_leaving = std::stable_partition(places_.begin(), places_.end(), stays);
  Places leaving(std::make_move_iterator(first_leaving), std::make_move_iterator(places_.end()));
  places_.erase(first_leaving, places_.end());
  Places fresh;
  std::vector<Wanted> gone;
  for (const Wanted& one : wanted) {
    bool twice = std::any_of(fresh.begin(), fresh.end(),
                             [&](const auto& place) { return same_address(place->wanted, one); });
    if (twice || find(one) != nullptr) continue;
    auto place = std::make_unique<Place>();
    place->wanted = one;
    Status bound = bind_over(*place, leaving, gone);
    if (!bound && one.required) {
      fresh.clear();
      take_back(given);
      std::move(leaving.begin(), leaving.end(), std::back_inserter(places_));
      put_back(gone);
      return bound;
    }
    if (!bound) place->failure = bound.error().message;
    fresh.push_back(std::move(place));
  }
  for (auto& place : leaving) {
    for (auto& listener : place->listeners) listener->accept_rest();
  }
  leaving.clear();
  for (auto& place : fresh) {
    Place& kept = *places_.emplace_back(std::move(place));
    if (kept.listeners.empty()) failed(kept, std::exchange(kept.failure, ""));
    auto name = name_of(kept.wanted.address);
    if (name && !resolver_.known(*name)) try_again(kept);
    if (name && !kept.listeners.empty()) kept.again = loop_.now() + kNameInterval;
  }
  for (const Wanted& one : wanted) {
    Place& place = *find(one);
    place.wanted = one;
    for (auto& listener : place.listeners) listener->set_tag(one.tag);
    if (name_of(one.address) && !place.listeners.empty() && !place.question) complete(place);
  }
  arm();
  changed_();
  return Ok{};
}

void ListenerSet::put_back(const std::vector<Wanted>& gone) {
  for (const Wanted& each : gone) {
    auto place = std::make_unique<Place>();
    place->wanted = each;
    Status bound = bind(*place);
    Place& kept = *places_.emplace_back(std::move(place));
    if (!bound) failed(kept, bound.error().message);
  }
  arm();
  changed_();
}

void ListenerSet::clear() {
  places_.clear();
  timer_.cancel();
  changed_();
}

// --- What cannot be had -----------------------------------------------------------------------

void ListenerSet::failed(Place& place, const std::string& reason) {
  place.pause = next_listen_pause(place.pause);
  place.again = loop_.now() + place.pause;
  if (place.failure == reason) return;
  place.failure = reason;
  observer_.listen_failed(to_string(place.wanted.address), reason);
}

void ListenerSet::try_again(Place& place) {
  auto name = name_of(place.wanted.address);
  if (!name) return complete(place);
  place.again = kNever;
  place.question = std::make_unique<Resolver::Question>(
      resolver_, *name,
      [this, &place](const Resolver::Answer& answer) { answered(place, answer); });
}

// Also when it failed: the addresses that the name had last may be there to listen on by now.
void ListenerSet::answered(Place& place, const Resolver::Answer&) {
  place.question.reset();
  complete(place);
  arm();
}

// Binds what is missing of it.
void ListenerSet::complete(Place& place) {
  std::vector<SocketAddress> before = place.addresses();
  Status bound = before.empty() ? bind(place) : follow_name(place);
  if (!bound) return failed(place, bound.error().message);
  bool news = !place.failure.empty() || place.addresses() != before;
  place.pause = {};
  place.again = name_of(place.wanted.address) ? loop_.now() + kNameInterval : kNever;
  place.failure.clear();
  if (!news) return;
  observer_.listening(to_string(place.wanted.address));
  changed_();
}

void ListenerSet::retry() {
  for (auto& place : places_) {
    if (place->again <= loop_.now()) try_again(*place);
  }
  arm();
}

void ListenerSet::arm() {
  timer_.arm(next_try());
}

Time ListenerSet::next_try() const {
  Time at = kNever;
  for (const auto& place : places_) at = std::min(at, place->again);
  return at;
}

// --- What there is ----------------------------------------------------------------------------

void ListenerSet::resume() {
  for (auto& place : places_) {
    for (auto& listener : place->listeners) listener->resume();
  }
}

std::vector<SocketAddress> ListenerSet::addresses() const {
  std::vector<SocketAddress> addresses;
  for (const auto& place : places_) {
    for (const SocketAddress& each : place->addresses()) addresses.push_back(each);
  }
  return addresses;
}

std::vector<std::string> ListenerSet::names() const {
  std::vector<std::string> names;
  for (const auto& place : places_) {
    for (const auto& listener : place->listeners) names.push_back(listener->name());
  }
  return names;
}

std::vector<ListenFailure> ListenerSet::failures() const {
  std::vector<ListenFailure> failures;
  for (const auto& place : places_) {
    if (!place->failure.empty())
      failures.push_back({to_string(place->wanted.address), place->failure});
  }
  return failures;
}

}  // namespace holdfast
