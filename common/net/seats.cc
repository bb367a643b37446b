#include "common/net/seats.h"

#include <arpa/inet.h>

#include <cstring>
#include <tuple>
#include <unordered_map>

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

// The oldest silent one of the source, else its oldest that was answered.
std::optional<CarrierId> oldest_of(std::span<const Seat> seats, std::string_view source) {
  const Seat* oldest = nullptr;
  for (const Seat& seat : seats) {
    if (seat.source != source || !unproven(seat)) continue;
    if (oldest == nullptr || seat.stage < oldest->stage) oldest = &seat;
  }
  return oldest == nullptr ? std::nullopt : std::optional<CarrierId>(oldest->id);
}

std::optional<CarrierId> of_the_heaviest(std::span<const Seat> seats, const Counts& counts,
                                         const std::function<bool(std::string_view)>& known) {
  const Seat* victim = nullptr;
  std::tuple<bool, std::size_t, bool> best;  // a stranger's, seats of its source, silent
  for (const Seat& seat : seats) {
    if (!unproven(seat)) continue;
    std::tuple<bool, std::size_t, bool> rank{!known(seat.source), counts.at(seat.source),
                                             seat.stage == Seat::Stage::silent};
    if (victim != nullptr && rank <= best) continue;
    victim = &seat;
    best = rank;
  }
  return victim == nullptr ? std::nullopt : std::optional<CarrierId>(victim->id);
}

}  // namespace

std::optional<CarrierId> who_makes_room(std::span<const Seat> seats, std::string_view source,
                                        const SeatLimits& limits,
                                        const std::function<bool(std::string_view)>& known) {
  if (auto leaves = beyond_a_clients(seats, limits.per_client)) return leaves;
  Counts counts;
  std::size_t all = 0;
  for (const Seat& seat : seats) {
    if (!unproven(seat)) continue;
    counts[seat.source] += 1;
    all += 1;
  }
  auto from_source = counts.find(source);
  if (from_source != counts.end() && from_source->second >= limits.per_source) {
    return oldest_of(seats, source);
  }
  return all >= limits.unproven ? of_the_heaviest(seats, counts, known) : std::nullopt;
}

std::string source_of(const SocketAddress& address) {
  if (address.family() != AF_INET6) return address.host();
  sockaddr_in6 v6;
  std::memcpy(&v6, address.get(), sizeof v6);
  // IPv4 on a socket of both kinds.
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) return address.host();
  std::memset(v6.sin6_addr.s6_addr + 8, 0, 8);
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  return std::string(text) + "/64";
}

}  // namespace holdfast
