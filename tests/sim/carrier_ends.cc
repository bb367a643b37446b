// What the hosts do with their ends of carriers: bytes as they are, or through TLS.
#include "tests/sim/encryption.h"
#include "tests/sim/tls_end.h"
#include "tests/sim/world.h"

namespace holdfast::sim {

Carrier::Carrier(CarrierId carrier, std::uint32_t client_index, const Pipe::Shape& shape)
    : id(carrier), client(client_index), to_server(shape), to_client(shape) {}

Carrier::~Carrier() = default;

void World::encrypt(Carrier& carrier) {
  if (!options_.tls) return;
  auto end = [&](int side, TlsContext& context) {
    carrier.ends[side] = std::make_unique<TlsEnd>(
        *this, carrier, side, [&](int descriptor) { return context.make(descriptor); });
  };
  if (!carrier.ghost) end(0, encryption_->client(client_name(carrier.client)));
  end(1, encryption_->server());
}

Handshake World::shake_hands(Carrier& carrier, int side) {
  TlsEnd* end = carrier.ends[side].get();
  if (end == nullptr) return Handshake::done;
  Handshake handshake = end->shake_hands();
  if (handshake == Handshake::done && side == 1) {
    require(end->identity() == client_name(carrier.client), "a handshake proved somebody else");
  }
  if (handshake != Handshake::failed) watch(carrier, side);
  return handshake;
}

bool World::read(Carrier& carrier, int side, std::vector<std::uint8_t>& into) {
  if (TlsEnd* end = carrier.ends[side].get()) return end->read(into);
  Pipe& pipe = side == 0 ? carrier.to_client : carrier.to_server;
  std::size_t most = 1 + random_.below(options_.read_chunk);
  Bytes bytes = pipe.readable(now_, most);
  if (bytes.empty()) return false;
  into.assign(bytes.begin(), bytes.end());
  consume(carrier, side, into.size());
  return true;
}

bool World::may_read_on(const Carrier& carrier, int side) const {
  const TlsEnd* end = carrier.ends[side].get();
  return end == nullptr || end->buffered();
}

Pipe::End World::ended(const Carrier& carrier, int side) const {
  if (const TlsEnd* end = carrier.ends[side].get()) return end->ended();
  return (side == 0 ? carrier.to_client : carrier.to_server).ended(now_);
}

std::size_t World::write(Carrier& carrier, int side, std::span<const iovec> buffers) {
  if (TlsEnd* end = carrier.ends[side].get()) return end->write(buffers);
  std::size_t total = 0;
  for (const iovec& buffer : buffers) {
    Bytes bytes(static_cast<const std::uint8_t*>(buffer.iov_base), buffer.iov_len);
    std::size_t size = send(carrier, side, bytes);
    total += size;
    if (size < bytes.size()) break;
  }
  return total;
}

// --- Ends that end in order ----------------------------------------------------------------------

bool World::finishing(const Carrier& carrier, int side) const {
  const TlsEnd* end = carrier.ends[side].get();
  return end != nullptr && end->finishing();
}

bool World::client_finishing(std::uint32_t client) const {
  for (const auto& [id, carrier] : carriers_) {
    if (carrier.client == client && carrier.client_open && finishing(carrier, 0)) return true;
  }
  return false;
}

void World::finish_more(Carrier& carrier, int side) {
  TlsEnd& end = *carrier.ends[side];
  if (!end.finish_more()) return watch(carrier, side);
  // The kernel ends it; a reset if there is something that nobody read.
  const Pipe& in = side == 0 ? carrier.to_client : carrier.to_server;
  end.close();
  close(carrier.id, side, in.arrived(now_) > in.read() ? Pipe::End::reset : Pipe::End::eof);
}

}  // namespace holdfast::sim
