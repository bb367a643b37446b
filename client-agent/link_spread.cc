#include "client-agent/link_spread.h"

#include <algorithm>
#include <utility>

namespace holdfast {

LinkSpread spread_links(
    std::vector<ClientLinkOptions> links, std::size_t loops,
    const std::function<std::optional<std::size_t>(const std::string&)>& where) {
  LinkSpread spread(loops);
  std::vector<ClientLinkOptions> fresh;
  for (ClientLinkOptions& link : links) {
    std::optional<std::size_t> loop = where(link.name);
    (loop ? spread.at(*loop) : fresh).push_back(std::move(link));
  }
  for (ClientLinkOptions& link : fresh) {
    auto load = [&](const std::vector<ClientLinkOptions>& loop) {
      auto siblings = std::count_if(loop.begin(), loop.end(),
                                    [&](const auto& other) { return other.group == link.group; });
      return std::pair(siblings, loop.size());
    };
    // Of equals the last: the first loop has enough to do besides.
    auto best = std::min_element(spread.rbegin(), spread.rend(),
                                 [&](auto& one, auto& other) { return load(one) < load(other); });
    best->push_back(std::move(link));
  }
  return spread;
}

}  // namespace holdfast
