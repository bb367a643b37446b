#include "client-agent/address_book.h"

#include <algorithm>

namespace holdfast {
namespace {

// Between two look-ups of the same names, for as long as somebody is to be dialled: while streams
// wait, while no address is known at all, else.
constexpr Duration kUrgentRefresh = seconds(1);
constexpr Duration kUnknownRefresh = seconds(2);
constexpr Duration kRelaxedRefresh = seconds(5);
// At least, whatever has happened.
constexpr Duration kLeastRefresh = milliseconds(200);
// A failure that goes on is told so often.
constexpr Duration kTellAgain = seconds(60);

bool contains(const std::vector<SocketAddress>& list, const SocketAddress& address) {
  return std::find(list.begin(), list.end(), address) != list.end();
}

}  // namespace

std::vector<SocketAddress> keep_places(const std::vector<SocketAddress>& old,
                                       const std::vector<SocketAddress>& fresh) {
  std::vector<SocketAddress> added;
  for (const SocketAddress& address : fresh) {
    if (!contains(old, address) && !contains(added, address)) added.push_back(address);
  }
  std::vector<SocketAddress> result;
  std::size_t used = 0;
  for (const SocketAddress& address : old) {
    if (contains(fresh, address)) {
      result.push_back(address);
    } else if (used < added.size()) {
      result.push_back(added[used++]);
    }
  }
  for (; used < added.size(); ++used) result.push_back(added[used]);
  return result;
}

AddressBook::AddressBook(Loop& loop, Resolver& resolver, std::vector<HostPort> servers,
                         std::function<void()> changed,
                         std::function<void(const HostPort&, const std::string&)> failed)
    : loop_(loop), resolver_(resolver), changed_(std::move(changed)), failed_(std::move(failed)) {
  entries_.reserve(servers.size());  // questions refer to their entry
  for (HostPort& server : servers) {
    Entry& entry = entries_.emplace_back();
    entry.server = std::move(server);
    if (auto literal = SocketAddress::literal(entry.server)) {
      entry.literal = true;
      entry.known = {*literal};
    } else {
      any_names_ = true;
    }
  }
  rebuild();
}

void AddressBook::refresh(Wish wish) {
  if (!any_names_) return;
  anew_ = anew_ || wish.anew;
  Duration usual = addresses_.empty() ? kUnknownRefresh : kRelaxedRefresh;
  if (wish.urgent) usual = kUrgentRefresh;
  Time now = loop_.now();
  if (last_refresh_) {
    next_refresh_ = *last_refresh_ + (anew_ ? kLeastRefresh : usual);
    if (now < next_refresh_) return;
  }
  anew_ = false;
  last_refresh_ = now;
  next_refresh_ = now + usual;
  for (Entry& entry : entries_) {
    if (entry.literal || entry.question) continue;
    entry.question = std::make_unique<Resolver::Question>(
        resolver_, entry.server,
        [this, &entry](const Resolver::Answer& answer) { answered(entry, answer); });
  }
}

void AddressBook::answered(Entry& entry, const Resolver::Answer& answer) {
  entry.question.reset();
  if (!answer) return tell_failure(entry.server, answer.error().message);
  told_.clear();
  if (entry.known == *answer) return;
  entry.known = *answer;
  rebuild();
  changed_();
}

void AddressBook::tell_failure(const HostPort& server, const std::string& why) {
  if (why == told_ && loop_.now() - told_at_ < kTellAgain) return;
  told_ = why;
  told_at_ = loop_.now();
  failed_(server, why);
}

void AddressBook::rebuild() {
  version_ += 1;
  std::vector<SocketAddress> fresh;
  for (const Entry& entry : entries_) {
    fresh.insert(fresh.end(), entry.known.begin(), entry.known.end());
  }
  addresses_ = keep_places(addresses_, fresh);
}

}  // namespace holdfast
