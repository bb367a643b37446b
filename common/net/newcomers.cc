#include "common/net/newcomers.h"

namespace holdfast {
namespace {

// A newcomer costs a socket and what its HELLO and table need; a real one is here for a round trip.
constexpr std::size_t kMaxNewcomers = 256;
constexpr std::size_t kMaxFromOneSource = 64;
// For a refused peer to read why.
constexpr Duration kRefusalPatience = seconds(1);
// A newcomer's read: no more than a HELLO and some table.
constexpr std::size_t kReadSize = 64 * kKiB;

}  // namespace

void Newcomers::add(CarrierId id, Descriptor socket, const TransportFactory& transport) {
  auto newcomer = std::make_unique<Newcomer>(max_streams_, loop_.timers(), [this, id] {
    reject(id, Cause::handshake_timeout, "no HELLO in time");
  });
  newcomer->carrier = std::make_unique<Carrier>(loop_, id, std::move(socket), transport, *this);
  newcomer->carrier->set_read_size(kReadSize);
  newcomer->deadline.arm(loop_.now() + handshake_timeout_);
  make_room(newcomer->carrier->peer().host());
  Carrier& carrier = *newcomer->carrier;
  newcomers_.emplace(id, std::move(newcomer));
  carrier.start();
}

// Those whose HELLO was accepted, and which only wait for another's answer, stay.
std::size_t Newcomers::count_from(const std::string& source, Table::iterator& oldest) {
  std::size_t count = 0;
  oldest = newcomers_.end();
  for (auto it = newcomers_.begin(); it != newcomers_.end(); ++it) {
    bool counts = source.empty() || it->second->carrier->peer().host() == source;
    if (!counts || it->second->greeted) continue;
    count += 1;
    if (oldest == newcomers_.end()) oldest = it;
  }
  return count;
}

void Newcomers::make_room(const std::string& source) {
  Table::iterator oldest;
  if (count_from(source, oldest) >= kMaxFromOneSource || newcomers_.size() >= kMaxNewcomers) {
    if (oldest == newcomers_.end()) count_from("", oldest);
    if (oldest == newcomers_.end()) oldest = newcomers_.begin();
    reject(oldest->first, Cause::limit, "too many newcomers; this one was the oldest");
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
      return;
    case HelloReader::State::failed:
      return reject(id, Cause::protocol, newcomer.reader.reason());
    case HelloReader::State::complete:
      break;
  }
  newcomer.greeted = true;
  host_.hello(id, carrier.identity(), std::move(newcomer.reader.request()));
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
  return taken;
}

void Newcomers::reject(CarrierId carrier, Cause cause, const std::string& reason) {
  refuse(carrier, cause, reason, {});
}

void Newcomers::refuse(CarrierId carrier, Cause cause, const std::string& reason, Buffer answer) {
  auto found = newcomers_.find(carrier);
  if (found == newcomers_.end()) return;
  bool greeted = found->second->greeted;
  std::unique_ptr<Carrier> refused = std::move(found->second->carrier);
  newcomers_.erase(found);
  observer_.carrier_rejected(refused->peer().to_string(), cause, reason);
  if (answer.empty()) {
    refused->close();
  } else {
    refused->finish_with(std::move(answer), loop_.now() + kRefusalPatience);
  }
  closing_.adopt(std::move(refused));
  if (greeted) host_.newcomer_gone(carrier);
}

void Newcomers::clear() {
  while (!newcomers_.empty()) reject(newcomers_.begin()->first, Cause::shutdown, "shutting down");
}

}  // namespace holdfast
