#include "server-agent/placement.h"

#include <algorithm>

namespace holdfast {

Placement::Claim Placement::claim(const std::string& client, std::uint32_t slot) {
  std::lock_guard lock(mutex_);
  Key key{client, slot};
  auto found = entries_.find(key);
  if (found == entries_.end()) {
    std::vector<std::size_t> own(links_on_.size());
    for (auto it = entries_.lower_bound({client, 0});
         it != entries_.end() && it->first.first == client; ++it) {
      own[it->second.loop] += 1;
    }
    std::size_t best = own.size() - 1;
    for (std::size_t loop = best; loop-- > 0;) {
      if (std::pair(own[loop], links_on_[loop]) < std::pair(own[best], links_on_[best])) {
        best = loop;
      }
    }
    found = entries_.emplace(key, Entry{best, 0}).first;
    links_on_[best] += 1;
  }
  found->second.places += 1;
  return {*this, std::move(key), found->second.loop};
}

void Placement::leave(const Key& key) {
  std::lock_guard lock(mutex_);
  auto found = entries_.find(key);
  found->second.places -= 1;
  if (found->second.places != 0) return;
  links_on_[found->second.loop] -= 1;
  entries_.erase(found);
}

bool Placement::take(const std::string& client, std::uint32_t slot, std::uint32_t most) {
  std::lock_guard lock(mutex_);
  auto& links = quota_[client];
  auto [link, first] = links.try_emplace(slot / kLanesOfALink);
  if (first && links.size() > most) {
    links.erase(link);
    if (links.empty()) quota_.erase(client);
    return false;
  }
  link->second += 1;
  return true;
}

void Placement::give_back(const std::string& client, std::uint32_t slot) {
  std::lock_guard lock(mutex_);
  auto found = quota_.find(client);
  auto link = found->second.find(slot / kLanesOfALink);
  link->second -= 1;
  if (link->second == 0) found->second.erase(link);
  if (found->second.empty()) quota_.erase(found);
}

ClientShare* Placement::share(const std::string& client) {
  std::lock_guard lock(mutex_);
  return &shares_[client];
}

void Placement::note_source(const LinkId& link, std::string source) {
  std::lock_guard lock(mutex_);
  links_at_[source] += 1;
  auto [place, fresh] = sources_.try_emplace(link);
  if (!fresh) leave_source(place->second);
  place->second = std::move(source);
}

void Placement::leave_source(const std::string& source) {
  auto found = links_at_.find(source);
  found->second -= 1;
  if (found->second == 0) links_at_.erase(found);
}

void Placement::forget(const LinkId& link) {
  std::lock_guard lock(mutex_);
  auto found = sources_.find(link);
  if (found == sources_.end()) return;
  leave_source(found->second);
  sources_.erase(found);
}

void Placement::hear_of_gone(ToldGone told) {
  told_gone_.push_back(std::move(told));
}

void Placement::tell_gone(const std::string& client, std::uint64_t start_id) const {
  for (const ToldGone& told : told_gone_) told(client, start_id);
}

bool Placement::known_at(std::string_view source) const {
  std::lock_guard lock(mutex_);
  return links_at_.find(source) != links_at_.end();
}

void Placement::set_listening(std::vector<SocketAddress> addresses) {
  std::lock_guard lock(mutex_);
  listening_ = std::move(addresses);
}

std::vector<SocketAddress> Placement::listening() const {
  std::lock_guard lock(mutex_);
  return listening_;
}

}  // namespace holdfast
