// TlsEnd: one end of an encrypted carrier, the agents' own TLS over a simulated socket.
//
//   handshaking --> standing --finish()--> finishing --the peer's end, or late--> closed
//
// It is driven as the agents' Carrier drives its Transport: what Transport says of itself (wants,
// buffered) decides whether it is called again, so that a transport that says it wrongly stalls
// here as it would there. The judge between the two ends: what was written into whole records that
// have arrived is what was read; nothing fails that was not cut. Both throw Failure.
//
// Keys are fresh in every run and so are the bytes of the ciphertext. Lengths are not: one suite,
// one group, one kind of key, no padding, no tickets. Nothing in a world looks at the bytes, so
// that a seed's schedule, its trace and its totals are the same each time.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "common/net/transport.h"
#include "tests/sim/medium.h"
#include "tests/sim/simulated_socket.h"

namespace holdfast::sim {

class World;

enum class Handshake : std::uint8_t { running, done, failed };

class TlsEnd final : public SimulatedSocket {
 public:
  // side 0: the client's. The world and the carrier outlive it.
  TlsEnd(World& world, Carrier& carrier, int side,
         const std::function<std::unique_ptr<Transport>(int)>& make);
  ~TlsEnd() override;

  // One turn of the handshake, if there is anything for it.
  Handshake shake_hands();
  // One read; false when nothing came, for now or because of ended().
  bool read(std::vector<std::uint8_t>& into);
  // Plain bytes taken; 0 without room. After a write the rest comes first in the next.
  std::size_t write(std::span<const iovec> buffers);

  // As Pipe::ended: everything before the end was read.
  Pipe::End ended() const { return ended_; }
  // Another read finds bytes that no event will tell of.
  bool buffered() const { return transport_ && transport_->buffered(); }
  // Says the end and waits for the peer's; false when it cannot (handshaking or closed).
  bool finish();
  bool finishing() const { return state_ == State::finishing; }
  // One turn of finishing; true when it is over.
  bool finish_more();
  void close();

  // Whom the handshake proved the peer to be.
  std::optional<std::string> identity() const { return transport_->identity(); }
  std::uint64_t sent() const { return sent_; }

 private:
  enum class State : std::uint8_t { handshaking, standing, finishing, closed };
  // So many bytes of plain text are whole in so many of ciphertext.
  struct Mark {
    std::uint64_t sent;
    std::uint64_t written;
  };

  ssize_t receive(MutableBytes buffer) override;
  ssize_t send(std::span<const iovec> buffers) override;
  void shut_down() override;

  Pipe& in() const { return side_ == 0 ? carrier_.to_client : carrier_.to_server; }
  Pipe& out() const { return side_ == 0 ? carrier_.to_server : carrier_.to_client; }
  bool readable() const;
  // A poller would call.
  bool awake() const;
  void mark();
  void check_delivered(const char* when) const;
  // Throws Failure, with `what` of whom.
  void require(bool condition, const char* what) const {
    if (!condition) fail(what);
  }
  [[noreturn]] void fail(const std::string& what) const;

  World& world_;
  Carrier& carrier_;
  int side_;
  State state_ = State::handshaking;
  bool begun_ = false;
  bool broken_ = false;  // a write failed; the read finds the end
  Pipe::End ended_ = Pipe::End::none;
  Time deadline_{};            // of finishing
  std::uint64_t sent_ = 0;     // ciphertext that the socket took
  std::uint64_t written_ = 0;  // plain bytes that the transport took
  std::uint64_t read_ = 0;     // plain bytes that it gave
  std::deque<Mark> marks_;
  std::unique_ptr<Transport> transport_;
};

}  // namespace holdfast::sim
