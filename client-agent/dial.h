// Dials: the client's connects under way, each to one address, from SYN to a standing carrier.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "client-agent/address_book.h"
#include "client-agent/dial_routes.h"
#include "common/core/dialer.h"
#include "common/core/segment_limit.h"
#include "common/io/connector.h"
#include "common/tunnel/carrier.h"
#include "common/tunnel/closing_carriers.h"
#include "common/tunnel/observer.h"

namespace holdfast {

struct DialOptions {
  std::vector<HostPort> servers;
  // `sni`: the server that the hello is for, or empty for what the config says.
  std::function<std::unique_ptr<Transport>(int descriptor, const std::string& sni)> transport;
  std::uint32_t mark = 0;  // SO_MARK of outgoing sockets, so that nftables can match them; 0: none
  std::string congestion_control;  // empty: the host's
  bool mptcp = false;              // where the kernel has it
  Duration handshake_timeout = seconds(10);
  Dialer::Begin begin = Dialer::Begin::first;  // of the servers
};

class Dials final : public Carrier::Owner {
 public:
  // `stands` gets every carrier whose handshake is done; `wake` asks for update() at the end of
  // this turn.
  Dials(Loop& loop, Resolver& resolver, DialOptions options, Observer& observer,
        ClosingCarriers& closing, std::uint64_t seed, std::uint64_t& next_carrier,
        std::function<void(std::unique_ptr<Carrier>)> stands, std::function<void()> wake);

  // A reload: dials under way are dropped, the next ones go to the new servers with the new keys,
  // at once where a carrier is wanted.
  void reconfigure(DialOptions options);

  // Where the link's server is found again; before update().
  void set_home(DialHome home);
  // What the link wants now: dials what is due, drops what is not wanted, arms the timer.
  void update(Dialer::Need need);
  void hold_off(Time until) { dialer_.hold_off(until); }
  void again_at(Time at) { dialer_.again_at(at); }
  // The link is up.
  void start_over();
  // The server that stood last takes nothing new: the others come first.
  void pass_over() { dialer_.prefer(std::nullopt); }
  // A carrier to this address was established and delivered nothing: are large packets lost?
  void barren(const SocketAddress& address);
  // The host's network changed: what failed before may work now.
  void network_changed();

  // Since the start of the process.
  std::uint64_t count() const { return count_; }
  // The servers' addresses, as far as they are known, and a number that rises when they change.
  std::vector<Endpoint> addresses() const;
  std::uint64_t addresses_version() const;
  // Why dials fail since one succeeded last; empty then.
  const std::string& last_error() const { return last_error_; }

 private:
  struct Dial {
    DialRoute route;
    SocketAddress address;
    std::unique_ptr<Connector> connector;
    std::unique_ptr<Carrier> carrier;
    std::unique_ptr<Timer> deadline;  // of the handshake
    Time began{};                     // the connect, then the handshake
    Duration connect_took{};
    Time heard{};             // anything, last
    bool unanswered = false;  // and counted as such
    bool over = false;

    Dialer::Reached reached() const {
      return carrier != nullptr ? Dialer::Reached::somebody : Dialer::Reached::nobody;
    }
  };
  // Of an address that was barren once.
  struct Limit {
    SocketAddress address;
    SegmentLimit segment;
    int unanswered = 0;  // handshakes in a row
  };

  void look_up();
  std::unique_ptr<AddressBook> book_of(std::vector<HostPort> hosts);
  void refresh_routes(Time now);
  void begin(std::size_t index);
  void connected(Dial& dial, Connector::Outcome outcome);
  void failed(Dial& dial, const std::string& reason);
  Dial* dial_of(const Carrier& carrier);
  Limit& limit_of(const SocketAddress& address);
  static Time hopeful_until(const Dial& dial);
  Time hopeful_until() const;
  bool make_room();
  void look_at_handshakes();
  void drop(Dial& dial);
  void drop_all();

  void carrier_standing(Carrier& carrier) override;
  bool carrier_readable(Carrier&) override { return false; }
  void carrier_bytes(Carrier&, Bytes) override {}
  void carrier_writable(Carrier&) override {}
  void carrier_lost(Carrier& carrier, Cause cause, const std::string& reason) override;

  Loop& loop_;
  Resolver& resolver_;
  DialOptions options_;
  Observer& observer_;
  ClosingCarriers& closing_;
  std::uint64_t& next_carrier_;
  std::function<void(std::unique_ptr<Carrier>)> stands_;
  std::function<void()> wake_;
  Dialer dialer_;
  DialRoutes routes_;
  std::unique_ptr<AddressBook> book_;
  std::unique_ptr<AddressBook> home_book_;  // of the home's own address; null: none is known
  std::vector<DialRoute> now_;              // the dialer's addresses
  std::optional<SocketAddress> good_;       // that stood last
  std::uint64_t earlier_versions_ = 0;      // of books before this one
  std::vector<std::unique_ptr<Dial>> dials_;
  std::vector<Limit> limits_;
  std::uint64_t count_ = 0;
  std::string last_error_;
  Timer timer_;
};

}  // namespace holdfast
