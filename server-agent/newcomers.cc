#include "server-agent/newcomers.h"

#include <algorithm>

namespace holdfast {
namespace {

// For a refused peer to read why.
constexpr Duration kRefusalPatience = seconds(1);
// A newcomer's read: no more than a HELLO and some table.
constexpr std::size_t kReadSize = 64 * kKiB;

}  // namespace

void Newcomers::add(CarrierId id, Descriptor socket, const TransportFactory& transport, bool scarce,
                    const std::optional<Through>& through) {
  std::unique_ptr<Newcomer> newcomer = make(id);
  newcomer->carrier = std::make_unique<Carrier>(loop_, id, std::move(socket), transport, *this);
  if (through) {
    newcomer->carrier->came_through(through->balancer, through->client);
    newcomer->check = through->check;
  }
  sit_down(std::move(newcomer), scarce ? when_scarce_ : limits_).start_when_ready();
}

void Newcomers::add_greeted(CarrierId id, Carrier::Unbound carrier, std::string client) {
  std::unique_ptr<Newcomer> newcomer = make(id);
  newcomer->carrier = std::make_unique<Carrier>(loop_, id, std::move(carrier), *this);
  newcomer->greeted = true;
  newcomer->client = std::move(client);
  sit_down(std::move(newcomer), limits_);
}

std::unique_ptr<Newcomers::Newcomer> Newcomers::make(CarrierId id) {
  return std::make_unique<Newcomer>(most_kept_, loop_.timers(), [this, id] {
    reject(id, Cause::handshake_timeout, "no HELLO in time");
  });
}

Carrier& Newcomers::sit_down(std::unique_ptr<Newcomer> newcomer, const SeatLimits& limits) {
  Carrier& carrier = *newcomer->carrier;
  carrier.set_read_size(kReadSize);
  carrier.set_patient(true);
  newcomer->source = source_of(carrier.peer());
  newcomer->deadline.arm(loop_.now() + handshake_timeout_);
  make_room(newcomer->source, limits);
  newcomers_.emplace(carrier.id(), std::move(newcomer));
  // cppcheck-suppress returnReference  ; the newcomer's, which the map has now
  return carrier;
}

Seat Newcomers::seat_of(const Newcomer& newcomer) {
  Seat seat;
  seat.id = newcomer.carrier->id();
  seat.source = newcomer.source;
  if (newcomer.greeted) {
    seat.stage = Seat::Stage::proven;
    seat.client = newcomer.client;
  } else if (newcomer.carrier->answered()) {
    auto shown = newcomer.carrier->shown();
    seat.stage = shown ? Seat::Stage::proven : Seat::Stage::answered;
    seat.client = std::move(shown).value_or("");
  }
  return seat;
}

void Newcomers::make_room(std::string_view source, const SeatLimits& limits) {
  auto known = [this](std::string_view place) { return owner_.link_known_at(place); };
  // Each round takes one away; few are needed, since each newcomer makes room for itself.
  while (newcomers_.size() >= std::min({limits.per_client, limits.per_source, limits.unproven})) {
    std::vector<Seat> seats;
    seats.reserve(newcomers_.size());
    for (const auto& [id, newcomer] : newcomers_) seats.push_back(seat_of(*newcomer));
    auto leaves = who_makes_room(seats, source, limits, known);
    if (!leaves) return;
    reject(*leaves, Cause::limit, "too many newcomers; this one made room");
  }
}

void Newcomers::carrier_bytes(Carrier& carrier, Bytes bytes) {
  CarrierId id = carrier.id();
  auto found = newcomers_.find(id);
  if (found == newcomers_.end()) return;
  Newcomer& newcomer = *found->second;
  if (newcomer.greeted) return reject(id, Cause::protocol, "bytes before WELCOME");
  switch (newcomer.reader.feed(bytes)) {
    case HelloReader::State::incomplete:
      // A large table on a slow path. Who is known has as long again; a stranger has not.
      if (carrier.identity()) newcomer.deadline.arm(loop_.now() + handshake_timeout_);
      return;
    case HelloReader::State::failed:
      return reject(id, Cause::protocol, newcomer.reader.reason());
    case HelloReader::State::complete:
      break;
  }
  newcomer.greeted = true;
  newcomer.client = carrier.identity().value_or(newcomer.reader.request().hello.name);
  owner_.hello(carrier, std::move(newcomer.reader.request()));
}

void Newcomers::carrier_lost(Carrier& carrier, Cause cause, const std::string& reason) {
  reject(carrier.id(), cause, reason);
}

std::unique_ptr<Carrier> Newcomers::take(CarrierId carrier) {
  auto found = newcomers_.find(carrier);
  if (found == newcomers_.end()) return nullptr;
  std::unique_ptr<Carrier> taken = std::move(found->second->carrier);
  newcomers_.erase(found);
  taken->set_read_size(Loop::kReadBufferSize);
  taken->set_patient(false);
  return taken;
}

void Newcomers::reject(CarrierId carrier, Cause cause, const std::string& reason) {
  refuse(carrier, cause, reason, {});
}

void Newcomers::refuse(CarrierId carrier, Cause cause, const std::string& reason, Buffer answer) {
  auto found = newcomers_.find(carrier);
  if (found == newcomers_.end()) return;
  // Out of the table, but not gone yet: the reason may be a text of its own.
  auto gone = newcomers_.extract(found);
  bool greeted = gone.mapped()->greeted;
  std::unique_ptr<Carrier> refused = std::move(gone.mapped()->carrier);
  // Who left, or was silent, may have more to say than came through.
  bool check = gone.mapped()->check || (cause == Cause::tls && refused->claimed_nothing());
  if (check && !greeted) {
    observer_.carrier_checked(refused->peer().to_string(), reason);
  } else {
    observer_.carrier_rejected(refused->peer().to_string(), cause, reason);
  }
  if (answer.empty()) {
    refused->close();
  } else {
    refused->finish_with(std::move(answer), loop_.now() + kRefusalPatience);
  }
  closing_.adopt(std::move(refused));
  if (greeted) owner_.newcomer_gone(carrier);
}

void Newcomers::clear() {
  while (!newcomers_.empty()) reject(newcomers_.begin()->first, Cause::shutdown, "shutting down");
}

}  // namespace holdfast
