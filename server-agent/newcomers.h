// Newcomers: a server's accepted carriers before it is known whose they are: from accept to a
// whole, believable HELLO. Bounded in number (seats.h), in bytes and in time.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>

#include "common/core/hello_reader.h"
#include "common/core/tuning.h"
#include "common/tunnel/carrier.h"
#include "common/tunnel/closing_carriers.h"
#include "common/tunnel/observer.h"
#include "server-agent/seats.h"

namespace holdfast {

// Of a carrier that came through a balancer: which one, and whose it is by its word.
struct Through {
  SocketAddress balancer;
  SocketAddress client;
  bool check = false;  // the balancer's own: nobody is behind it
};

class Newcomers final : public Carrier::Owner {
 public:
  class Owner {
   public:
    // The HELLO is whole. The owner calls take() or refuse() now, or later.
    virtual void hello(const Carrier& carrier, HelloRequest request) = 0;
    // A link's carrier is there, or was before it was lost.
    virtual bool link_known_at(std::string_view source) const = 0;
    // A newcomer whose HELLO was given was lost.
    virtual void newcomer_gone(CarrierId carrier) = 0;

   protected:
    ~Owner() = default;
  };

  Newcomers(Loop& loop, Owner& owner, Observer& observer, ClosingCarriers& closing,
            Duration handshake_timeout, std::uint32_t streams, const SeatLimits& limits,
            const SeatLimits& when_scarce)
      : loop_(loop),
        owner_(owner),
        observer_(observer),
        closing_(closing),
        handshake_timeout_(handshake_timeout),
        limits_(limits),
        when_scarce_(when_scarce) {
    expect(streams);
  }

  // `scarce`: it has a descriptor of the reserve, of which strangers have but a part.
  void add(CarrierId id, Descriptor socket, const TransportFactory& transport, bool scarce,
           const std::optional<Through>& through = std::nullopt);
  // One whose HELLO was whole on another loop, and was the client's.
  void add_greeted(CarrierId id, Carrier::Unbound carrier, std::string client);
  // It belongs to a link now.
  std::unique_ptr<Carrier> take(CarrierId carrier);
  // Written, then closed in order; with nothing to write, closed at once.
  void refuse(CarrierId carrier, Cause cause, const std::string& reason, Buffer answer);
  void clear();
  // Of those who come from now on.
  void set_handshake_timeout(Duration timeout) { handshake_timeout_ = timeout; }
  // So many streams a link may have: its table is read whole from now on.
  void expect(std::uint32_t streams) { most_kept_ = std::max(most_kept_, streams); }

 private:
  struct Newcomer {
    Newcomer(std::uint32_t most_kept, TimerQueue& timers, std::function<void()> expired)
        : reader(most_kept), deadline(timers, std::move(expired)) {}
    std::unique_ptr<Carrier> carrier;
    HelloReader reader;
    std::string source;
    std::string client;    // who it says it is, once its HELLO is whole
    bool greeted = false;  // its HELLO was given to the owner
    bool check = false;    // a balancer's: nobody needs to hear of its end
    Timer deadline;
  };
  using Table = std::map<CarrierId, std::unique_ptr<Newcomer>>;  // the oldest first

  std::unique_ptr<Newcomer> make(CarrierId id);
  Carrier& sit_down(std::unique_ptr<Newcomer> newcomer, const SeatLimits& limits);
  void make_room(std::string_view source, const SeatLimits& limits);
  static Seat seat_of(const Newcomer& newcomer);
  void reject(CarrierId carrier, Cause cause, const std::string& reason);

  void carrier_standing(Carrier&) override {}
  bool carrier_readable(Carrier&) override { return true; }
  void carrier_bytes(Carrier& carrier, Bytes bytes) override;
  void carrier_writable(Carrier&) override {}
  void carrier_lost(Carrier& carrier, Cause cause, const std::string& reason) override;

  Loop& loop_;
  Owner& owner_;
  Observer& observer_;
  ClosingCarriers& closing_;
  Duration handshake_timeout_;
  std::uint32_t most_kept_ = tuning::kTableKept;
  SeatLimits limits_;
  SeatLimits when_scarce_;
  Table newcomers_;
};

}  // namespace holdfast
