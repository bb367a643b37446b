// Carrier: one socket that carries, or may carry, a link: descriptor, transport, what is half
// written. It knows nothing of streams.
//
//     handshaking --> standing --finish()--> finishing --peer's end, or deadline--> closed
//          |             |                                                            ^
//          +-------------+------------ lost, or close() ------------------------------+
//
// The owner is told in callbacks and may call anything in them, close() too; it must not destroy
// the carrier in one (it keeps what it closed until the end of the turn).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/core/delivery_rate.h"
#include "common/io/loop.h"
#include "common/io/socket.h"
#include "common/tls/transport.h"
#include "common/tunnel/path_report.h"
#include "common/wire/cause.h"

namespace holdfast {

class Carrier final : public Poller::Watcher {
 public:
  enum class State : std::uint8_t { handshaking, standing, finishing, closed };

  class Owner {
   public:
    virtual void carrier_standing(Carrier& carrier) = 0;
    // There may be bytes. The owner finishes what earlier ones began, and takes more; or it has no
    // time for them in this turn (false), and is called again in the next one.
    virtual bool carrier_readable(Carrier& carrier) = 0;
    // The bytes are good until this returns.
    virtual void carrier_bytes(Carrier& carrier, Bytes bytes) = 0;
    // After a write that did not take all: there is room again.
    virtual void carrier_writable(Carrier& carrier) = 0;
    // It is closed now, by the peer, by an error, or because finishing is done.
    virtual void carrier_lost(Carrier& carrier, Cause cause, const std::string& reason) = 0;

   protected:
    ~Owner() = default;
  };

  // What it is without its loop.
  struct Unbound {
    Descriptor descriptor;
    std::unique_ptr<Transport> transport;
    SocketAddress peer;
    std::optional<SocketAddress> via{};
  };

  // The descriptor is connected. Call start() once the owner is ready for callbacks.
  Carrier(Loop& loop, CarrierId id, Descriptor descriptor, const TransportFactory& transport,
          Owner& owner);
  // One that stood on another loop. It reads from the next turn on.
  Carrier(Loop& loop, CarrierId id, Unbound unbound, Owner& owner);

  void start();
  // For one that was accepted: nothing is done before the peer has said something.
  void start_when_ready() { watch(); }
  void set_owner(Owner& owner) { owner_ = &owner; }

  // Writes at once, as much as the socket takes; what is left must be given again, first, after
  // carrier_writable(). 0 also when it failed (the owner has been told then).
  std::size_t write(std::span<const iovec> buffers);
  bool writable() const { return state_ == State::standing && !blocked_; }

  // Appends bytes of the carrier's own (a refusal) and then finishes.
  void finish_with(std::vector<std::uint8_t> bytes, Time deadline);
  // All data is written. Closes gracefully: waits for the peer's end until `deadline`.
  void finish(Time deadline);
  // At once, abortively: the peer reads a reset.
  void close();
  // A standing one leaves its loop for another; what is left here is closed. Nothing that was
  // written may be waiting.
  Unbound unbind();

  // Reads once, for effect::VerifyCarrier. True if any byte arrived.
  bool read_once();

  CarrierId id() const { return id_; }
  State state() const { return state_; }
  bool closed() const { return state_ == State::closed; }
  bool finishing() const { return state_ == State::finishing; }
  const SocketAddress& peer() const { return peer_; }
  // Who came through a balancer, as that one said; `via` is the balancer.
  void came_through(const SocketAddress& via, const SocketAddress& peer) {
    via_ = via;
    peer_ = peer;
  }
  const std::optional<SocketAddress>& via() const { return via_; }
  // See Transport.
  std::optional<std::string> identity() const { return transport_->identity(); }
  std::optional<std::string> shown() const { return transport_->shown(); }
  bool answered() const { return transport_->answered(); }
  bool claimed_nothing() const { return transport_->claimed_nothing(); }
  std::string transport_error() const { return transport_->error(); }
  // What of ours waits in the kernel or before it, and what the peer's kernel has acknowledged.
  std::optional<PathReport> path() const;
  // Over how many paths at once; nothing for plain TCP.
  std::optional<std::uint32_t> subflows() const;
  // How many bytes may be written in one go, so that they do not wait for long.
  std::size_t room();
  Duration round_trip() const { return measured_round_trip(descriptor_.get()); }
  // How large one read is: small beside several active streams, for latency.
  void set_read_size(std::size_t size) { read_size_ = size; }
  // Nobody's yet: others' events come first.
  void set_patient(bool patient) { registration_.set_patient(patient); }

 private:
  std::optional<Multipath> multipath() const;
  void on_ready(std::uint32_t events) override;
  void shake_hands();
  // After a write that did not take all.
  void write_on();
  void try_again_soon(bool progress);
  void write_farewell();
  void read_available();
  void watch();
  void note_use();
  void note_rest();
  void lost(Cause cause, std::string reason);
  void lost(Transport::Status status);
  void shut();
  void leave_loop();

  Loop& loop_;
  CarrierId id_;
  Owner* owner_;
  SocketAddress peer_;
  std::optional<SocketAddress> via_;
  State state_ = State::handshaking;
  bool blocked_ = false;  // a write waits for room
  std::size_t read_size_ = Loop::kReadBufferSize;
  std::vector<std::uint8_t> farewell_;
  std::size_t farewell_written_ = 0;
  bool shut_down_ = false;
  Descriptor descriptor_;
  std::unique_ptr<Transport> transport_;
  Poller::Registration registration_;
  Timer deadline_{loop_.timers(),
                  [this] { lost(Cause::none, "closed in order, at the deadline"); }};
  std::optional<Multipath> multipath_;  // as it was at first
  DeliveryRate rate_;
  Time rate_asked_at_{};
  std::size_t room_ = 0;
  int not_sent_ = kCarrierNotSent;
  Timer retry_{loop_.timers(), [this] { write_on(); }};
  Duration retry_after_{};
  Time used_at_{};                                       // bytes came last
  Timer rest_{loop_.timers(), [this] { note_rest(); }};  // armed while it is in use
};

}  // namespace holdfast
