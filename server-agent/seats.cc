#include "server-agent/seats.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>
#include <vector>

namespace holdfast {
namespace {

using Counts = std::unordered_map<std::string_view, std::size_t>;

bool unproven(const Seat& seat) {
  return seat.stage != Seat::Stage::proven;
}

std::optional<CarrierId> beyond_a_clients(std::span<const Seat> seats, std::size_t most) {
  Counts counts;
  for (const Seat& seat : seats) {
    if (!unproven(seat)) counts[seat.client] += 1;
  }
  for (const Seat& seat : seats) {
    if (!unproven(seat) && counts[seat.client] > most) return seat.id;
  }
  return std::nullopt;
}

using Seats = std::vector<const Seat*>;

// Silent ones have half of the seats, those that were answered the other half: whichever has more
// loses its oldest. So no flood of the one kind costs one of the other its seat.
std::optional<CarrierId> oldest_of_the_larger_half(const Seats& seats) {
  auto silent = [](const Seat* seat) { return seat->stage == Seat::Stage::silent; };
  auto silents = static_cast<std::size_t>(std::count_if(seats.begin(), seats.end(), silent));
  bool of_silent = 2 * silents >= seats.size();
  for (const Seat* seat : seats) {
    if (silent(seat) == of_silent) return seat->id;
  }
  return std::nullopt;
}

// Strangers', if there are any; and of these the sources' that have the most.
Seats of_the_heaviest(const Seats& seats, const std::function<bool(std::string_view)>& known) {
  Counts counts;
  for (const Seat* seat : seats) counts[seat->source] += 1;
  Seats kept;
  std::pair<bool, std::size_t> heaviest{false, 0};  // a stranger's, seats of its source
  for (const Seat* seat : seats) {
    std::pair<bool, std::size_t> weight{!known(seat->source), counts.at(seat->source)};
    if (weight < heaviest) continue;
    if (weight > heaviest) kept.clear();
    heaviest = weight;
    kept.push_back(seat);
  }
  return kept;
}

}  // namespace

std::optional<CarrierId> who_makes_room(std::span<const Seat> seats, std::string_view source,
                                        const SeatLimits& limits,
                                        const std::function<bool(std::string_view)>& known) {
  if (auto leaves = beyond_a_clients(seats, limits.per_client)) return leaves;
  Seats all;
  Seats of_source;
  for (const Seat& seat : seats) {
    if (!unproven(seat)) continue;
    all.push_back(&seat);
    if (seat.source == source) of_source.push_back(&seat);
  }
  if (of_source.size() >= limits.per_source) return oldest_of_the_larger_half(of_source);
  if (all.size() < limits.unproven) return std::nullopt;
  return oldest_of_the_larger_half(of_the_heaviest(all, known));
}

std::string source_of(const SocketAddress& address) {
  if (address.family() != AF_INET6) return address.host();
  sockaddr_in6 v6{};
  std::memcpy(&v6, address.get(), sizeof v6);
  // IPv4 on a socket of both kinds.
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) return address.host();
  std::memset(v6.sin6_addr.s6_addr + 8, 0, 8);
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  return std::string(text) + "/64";
}

}  // namespace holdfast
